import { DynamoError } from '@dynamo/runtime';
import { batchesOf } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { answer } from '../../frontend/answer.ts';
import { parseChatRequest } from '../../openai/chat.ts';
import { engineRequest } from '../../openai/engine-request.ts';
import { renderPrompt } from '../../template/render-prompt.ts';
import { annotationEvents } from '../annotations.ts';
import { AnswerFacts } from '../answer-facts.ts';
import { type AnswerShape, ChatAnswer, chatEvents } from '../chat-answer.ts';
import { sendEvents, sendWhole } from '../exchange.ts';
import { metadataOf, modelFor, pinnedInstance } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { UsageCount } from '../usage.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/chat/completions` (spec llm 3). */
export const chatRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: '/v1/chat/completions', surface: 'chat', answer: chat });

async function chat({ request, reply, parts, id, headers, begin }: TextExchange): Promise<void> {
  const asked = parseChatRequest(String(request.body ?? ''));
  const stream = asked.stream === true;
  const record = begin({ model: asked.model, endpoint: 'chat_completions', stream });
  const model = modelFor(parts, asked.model, 'chat');
  if (model.template === undefined) throw new DynamoError('not_found', 'Model not found');
  const given = asked.nvext?.token_data ?? undefined;
  const prompt = given === undefined ? renderPrompt(model.template, asked) : undefined;
  const tokenIds = given ?? (await model.encode(prompt ?? ''));
  record.input(tokenIds.length);
  const tokens = { ...engineRequest(asked, model), tokenIds };
  const facts = new AnswerFacts(asked.nvext?.extra_fields ?? []);
  const metadata = metadataOf(request);
  const instance = pinnedInstance(tokens, model);
  const shape: AnswerShape = {
    id,
    model,
    facts,
    usage: new UsageCount(tokenIds.length),
    names: { tokenizer: model.tokenizer, asIds: tokens.output?.returnTokensAsTokenIds ?? false },
    includeUsage: asked.stream_options?.include_usage ?? false,
    continuousUsage: asked.stream_options?.continuous_usage_stats ?? false,
  };
  const answering = {
    model: model.name,
    record,
    placed: facts.placed,
    open: (signal: AbortSignal) =>
      batchesOf(
        answer(model, tokens, {
          id,
          signal,
          headers,
          placed: facts.placed,
          ...(metadata === undefined ? {} : { metadata }),
          ...(instance === undefined ? {} : { instance }),
        }),
      ),
  };
  if (!stream) {
    await sendWhole(reply, answering, new ChatAnswer(shape));
    if (shape.usage.cached !== undefined) record.cached(shape.usage.cached);
    return;
  }
  const opening = annotationEvents(tokens.annotations, { id, prompt, tokenIds });
  await sendEvents(reply, answering, { writer: chatEvents(shape), opening });
  if (shape.usage.cached !== undefined) record.cached(shape.usage.cached);
}
