import { DynamoError } from '@dynamo/runtime';
import { batchesOf } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { answer } from '../../frontend/answer.ts';
import type { ServingModel, TextModel } from '../../frontend/serving-model.ts';
import { type ChatRequest, parseChatRequest } from '../../openai/chat.ts';
import { engineRequest, variablesOf } from '../../openai/engine-request.ts';
import { answerParserFor } from '../../parsers/for-request.ts';
import { passedChat } from '../../openai/passed-request.ts';
import { renderPrompt } from '../../template/render-prompt.ts';
import { agentContext, type InputTrigger } from '../agent-context.ts';
import { annotationEvents } from '../annotations.ts';
import { AnswerFacts } from '../answer-facts.ts';
import { ChatAnswer, chatEvents, type ChatShape } from '../chat-answer.ts';
import { type Answering, sendEvents, sendWhole } from '../exchange.ts';
import { PassedAnswer, type PassedChunk, passedEvents, readPassed } from '../passed-answer.ts';
import { answerTokens, callOf, modelFor, pinnedInstance, wantedFields, withHints } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { UsageCount } from '../usage.ts';
import { itemsOfWorker } from '../worker-items.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/chat/completions` (spec llm 3). */
export const chatRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.chat, surface: 'chat', answer: chat });

async function chat(exchange: TextExchange): Promise<void> {
  const asked = withHints(parseChatRequest(String(exchange.request.body ?? '')), exchange);
  const record = exchange.begin({
    model: asked.model,
    endpoint: 'chat_completions',
    stream: asked.stream === true,
    answerTokens: answerTokens(asked.max_completion_tokens ?? asked.max_tokens, asked.n),
  });
  const model = modelFor(exchange.parts, asked.model, 'chat');
  const answering = { record, http: exchange.parts.http, model: model.name };
  if (model.input === 'text') await passOn(exchange, { asked, model, answering });
  else await answerFromTokens(exchange, { asked, model, answering });
}

type Begun<Model> = { asked: ChatRequest; model: Model; answering: Pick<Answering, 'record' | 'http' | 'model'> };

async function answerFromTokens(exchange: TextExchange, { asked, model, answering: begun }: Begun<ServingModel>): Promise<void> {
  const { request, reply, id } = exchange;
  if (model.template === undefined) throw new DynamoError('not_found', 'Model not found');
  const given = asked.nvext?.token_data ?? undefined;
  const variables = variablesOf(asked, model);
  const prompt = given === undefined ? renderPrompt(model.template, asked, variables) : undefined;
  const tokenIds = given ?? (await model.encode(prompt ?? ''));
  begun.record.input(tokenIds.length);
  const session = agentContext(request.headers, triggerOf(asked));
  const plain = engineRequest(asked, model);
  const tokens = { ...plain, tokenIds, ...(session === undefined ? {} : { extra: { ...plain.extra, ...session } }) };
  const facts = new AnswerFacts(wantedFields(asked));
  const instance = pinnedInstance(tokens, model);
  if (instance !== undefined) facts.placed.instance = instance;
  const parser = answerParserFor(asked, model.parsers, { variables, prompt });
  const shape: ChatShape = {
    http: begun.http,
    id,
    model,
    facts,
    usage: new UsageCount(tokenIds.length, { reasoning: parser?.reasons === true }),
    names: { tokenizer: model.tokenizer, asIds: tokens.output?.returnTokensAsTokenIds ?? false },
    includeUsage: asked.stream_options?.include_usage ?? false,
    continuousUsage: asked.stream_options?.continuous_usage_stats ?? false,
  };
  const call = { ...callOf(exchange), parser, placed: facts.placed, ...(instance === undefined ? {} : { instance }) };
  const answering = { ...begun, placed: facts.placed, open: (signal: AbortSignal) => batchesOf(answer(model, tokens, { ...call, signal })) };
  if (asked.stream !== true) await sendWhole(reply, answering, new ChatAnswer(shape));
  else await sendEvents(reply, answering, { writer: chatEvents(shape), opening: annotationEvents(tokens.annotations, { id, prompt, tokenIds }) });
  if (shape.usage.cached !== undefined) begun.record.cached(shape.usage.cached);
}

/** A text-input worker gets the request as it is, and its chunks are the answer's (spec llm 2.6). */
async function passOn(exchange: TextExchange, { asked, model, answering: begun }: Begun<TextModel>): Promise<void> {
  const { reply, id } = exchange;
  const call = callOf(exchange);
  const answering: Answering<PassedChunk> = {
    ...begun,
    open: (signal) => readPassed(itemsOfWorker(model.raw, passedChat(asked), { ...call, signal }), { route: 'chat' }),
  };
  if (asked.stream !== true) await sendWhole(reply, answering, new PassedAnswer('chat'));
  else await sendEvents(reply, answering, { writer: passedEvents('chat'), opening: annotationEvents(asked.nvext?.annotations ?? [], { id }) });
}

/** What made an agent ask: the user, a tool that has answered, or something else. */
function triggerOf({ messages }: ChatRequest): InputTrigger {
  const role = messages.at(-1)?.role;
  return role === 'user' ? 'user_message' : role === 'tool' ? 'tool_result' : 'other';
}
