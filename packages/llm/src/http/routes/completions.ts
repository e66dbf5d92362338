import { DynamoError } from '@dynamo/runtime';
import { batchesOf } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { answer, type AnswerOptions } from '../../frontend/answer.ts';
import type { ServingModel } from '../../frontend/serving-model.ts';
import { type CompletionRequest, parseCompletionRequest, promptsOf } from '../../openai/completions.ts';
import { engineRequest } from '../../openai/engine-request.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import { merge } from '../../stages/merge.ts';
import type { TextChunk } from '../../stages/to-text.ts';
import { annotationEvents } from '../annotations.ts';
import { AnswerFacts } from '../answer-facts.ts';
import { CompletionAnswer, completionEvents, type CompletionShape, completionUsageEvent } from '../completion-answer.ts';
import { sendEvents, sendWhole } from '../exchange.ts';
import { metadataOf, modelFor, pinnedInstance } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { UsageCount } from '../usage.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/completions` (spec llm 3). */
export const completionsRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: '/v1/completions', surface: 'completions', answer: complete });

async function complete({ request, reply, parts, id, headers, begin }: TextExchange): Promise<void> {
  const asked = parseCompletionRequest(String(request.body ?? ''));
  const stream = asked.stream === true;
  const record = begin({ model: asked.model, endpoint: 'completions', stream });
  const model = modelFor(parts, asked.model, 'completions');
  const prompts = await Promise.all(promptsOf(asked).map((prompt) => (typeof prompt === 'string' ? model.encode(prompt) : prompt)));
  if (prompts.length === 0) throw new DynamoError('invalid_argument', 'Invalid request');
  for (const prompt of prompts) record.input(prompt.length);
  const common = engineRequest(asked, model);
  const metadata = metadataOf(request);
  const instance = pinnedInstance(common, model);
  const shapes = shapesOf(asked, { id, model, prompts, common });
  const n = common.sampling?.n ?? 1;
  const open = (signal: AbortSignal): AsyncIterable<readonly TextChunk[]> =>
    openAll(shapes, {
      model,
      requests: prompts.map((tokenIds) => ({ ...common, tokenIds })),
      call: { signal, headers, ...(metadata === undefined ? {} : { metadata }), ...(instance === undefined ? {} : { instance }) },
    });
  const answering = { model: model.name, record, open, ...(shapes[0] === undefined ? {} : { placed: shapes[0].facts.placed }) };
  if (!stream) {
    await sendWhole(reply, answering, new CompletionAnswer(id, shapes, n));
    return;
  }
  const counts = shapes.map(({ usage }) => usage);
  const [shape] = shapes as [CompletionShape];
  const includeUsage = asked.stream_options?.include_usage ?? false;
  const end = (): string => (includeUsage && counts.every(({ finished }) => finished) ? completionUsageEvent(shape, id, counts) : '');
  const opening = annotationEvents(common.annotations, { id, prompt: undefined, tokenIds: prompts[0] ?? [] });
  await sendEvents(reply, answering, { writer: { ...completionEvents(shapes, n), end }, opening });
}

interface Prompts {
  readonly id: string;
  readonly model: ServingModel;
  readonly prompts: readonly (readonly number[])[];
  readonly common: Omit<TokenRequest, 'tokenIds'>;
}

/** Several prompts are several engine requests, with ids `…-0`, `…-1` (spec llm 2.1). */
function shapesOf(asked: CompletionRequest, { id, model, prompts, common }: Prompts): readonly CompletionShape[] {
  const facts = asked.nvext?.extra_fields ?? [];
  return prompts.map((prompt, index) => ({
    id: prompts.length === 1 ? id : `${id}-${index}`,
    model,
    facts: new AnswerFacts(facts),
    usage: new UsageCount(prompt.length),
    names: { tokenizer: model.tokenizer, asIds: common.output?.returnTokensAsTokenIds ?? false },
    includeUsage: false,
    continuousUsage: asked.stream_options?.continuous_usage_stats ?? false,
    firstChoice: index * (common.sampling?.n ?? 1),
  }));
}

function openAll(
  shapes: readonly CompletionShape[],
  { model, requests, call }: { model: ServingModel; requests: readonly TokenRequest[]; call: AnswerOptions },
): AsyncIterable<readonly TextChunk[]> {
  const streams = requests.map((request, index) => {
    const shape = shapes[index] as CompletionShape;
    return batchesOf(answer(model, request, { ...call, id: shape.id, placed: shape.facts.placed }));
  });
  const [only] = streams;
  return streams.length === 1 && only !== undefined ? only : numbered(streams, shapes);
}

/** Gives the choices of later prompts their place behind those of the earlier ones. */
async function* numbered(
  streams: readonly AsyncIterable<readonly TextChunk[]>[],
  shapes: readonly CompletionShape[],
): AsyncGenerator<readonly TextChunk[]> {
  for await (const { from, batch } of merge(streams)) {
    const first = shapes[from]?.firstChoice ?? 0;
    yield first === 0 ? batch : batch.map((chunk) => ({ ...chunk, index: first + (chunk.index ?? 0) }));
  }
}
