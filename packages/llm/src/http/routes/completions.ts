import { DynamoError } from '@dynamo/runtime';
import { batchesOf } from '@dynamo/runtime/internal';
import type { FastifyInstance } from 'fastify';
import { answer, type AnswerOptions } from '../../frontend/answer.ts';
import type { ServingModel, TextModel } from '../../frontend/serving-model.ts';
import { type CompletionRequest, listedPrompts, parseCompletionRequest, promptsOf } from '../../openai/completions.ts';
import { engineRequest } from '../../openai/engine-request.ts';
import { passedCompletion } from '../../openai/passed-request.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import { merge } from '../../stages/merge.ts';
import type { TextChunk } from '../../stages/to-text.ts';
import { agentContext } from '../agent-context.ts';
import { annotationEvents, bypassEvent } from '../annotations.ts';
import { AnswerFacts } from '../answer-facts.ts';
import { CompletionAnswer, completionEvents, type CompletionShape, completionUsageEvent } from '../completion-answer.ts';
import type { Asking } from '../asking.ts';
import type { Answering } from '../exchange.ts';
import { opened, type OpenedAnswer } from '../opened.ts';
import { PassedAnswer, type PassedChunk, passedEvents, readPassed } from '../passed-answer.ts';
import { answerTokens, callOf, knownTokens, modelFor, pinnedInstance, wantedFields, withHints } from '../request-facts.ts';
import { textRoute, type TextExchange } from '../text-route.ts';
import { UsageCount } from '../usage.ts';
import { itemsOfWorker } from '../worker-items.ts';
import type { RouteParts } from './parts.ts';

/** `POST /v1/completions` (spec llm 3). */
export const completionsRoute = (server: FastifyInstance, parts: RouteParts): void =>
  textRoute(server, parts, { path: parts.http.paths.completions, surface: 'completions', answer: complete });

const complete = async (exchange: TextExchange): Promise<void> =>
  (await openCompletion(exchange, String(exchange.request.body ?? ''))).send(exchange.reply);

/**
 * Reads a completion request and opens its answer.
 *
 * @throws DynamoError `invalid_argument` for a request that 1.6.1 refuses, `not_found` for a model that nobody has.
 */
export async function openCompletion(exchange: Asking, text: string): Promise<OpenedAnswer> {
  const asked = withHints(parseCompletionRequest(text), exchange);
  const record = exchange.begin({
    model: asked.model,
    endpoint: 'completions',
    stream: asked.stream === true,
    answerTokens: answerTokens(asked.max_tokens, asked.n),
  });
  const model = modelFor(exchange.parts, asked.model, 'completions');
  const answering = { record, http: exchange.parts.http, model: model.name };
  if (promptsOf(asked).length === 0) throw new DynamoError('invalid_argument', 'Invalid request');
  return model.input === 'text' ? passOn(exchange, { asked, model, answering }) : answerFromTokens(exchange, { asked, model, answering });
}

type Begun<Model> = { asked: CompletionRequest; model: Model; answering: Pick<Answering, 'record' | 'http' | 'model'> };

async function answerFromTokens(exchange: Asking, { asked, model, answering: begun }: Begun<ServingModel>): Promise<OpenedAnswer> {
  const { request, id } = exchange;
  const { stages } = begun.record;
  stages.begin();
  const began = performance.now();
  const prompts = await Promise.all(
    promptsOf(asked).map((prompt) => (typeof prompt === 'string' ? model.encode(prompt) : knownTokens(prompt, model))),
  );
  stages.prepared({ tokenize: performance.now() - began });
  for (const prompt of prompts) begun.record.input(prompt.length);
  const session = agentContext(request.headers, 'other');
  const plain = engineRequest(asked, model);
  const common = session === undefined ? plain : { ...plain, extra: { ...plain.extra, ...session } };
  const instance = pinnedInstance(common, model);
  const shapes = shapesOf(asked, { id, model, prompts, common });
  if (instance !== undefined) for (const { facts } of shapes) facts.placed.instance = instance;
  for (const { facts } of shapes) facts.placed.onSent = () => stages.sent();
  const n = common.sampling?.n ?? 1;
  const call = {
    ...callOf(exchange),
    detokenized: (ms: number, count: number) => stages.detokenized(ms, count),
    ...(instance === undefined ? {} : { instance }),
  };
  const requests = prompts.map((tokenIds) => ({ ...common, tokenIds }));
  const answering = {
    ...begun,
    ...(shapes[0] === undefined ? {} : { placed: shapes[0].facts.placed }),
    open: (signal: AbortSignal) => openAll(shapes, { model, requests, call: { ...call, signal } }),
  };
  const counts = shapes.map(({ usage }) => usage);
  const [shape] = shapes as [CompletionShape];
  const includeUsage = asked.stream_options?.include_usage ?? false;
  const end = (): string => (includeUsage && counts.every(({ finished }) => finished) ? completionUsageEvent(shape, id, counts) : '');
  return opened({
    answering,
    stream: asked.stream === true,
    whole: () => new CompletionAnswer(id, shapes, n),
    events: () => ({
      writer: { ...completionEvents(shapes, n), end },
      opening: () => bypassEvent(shape.facts.placed) + annotationEvents(common.annotations, { id, tokenIds: prompts[0] ?? [] }),
    }),
  });
}

/** A text-input worker gets one request a prompt, and its chunks are the answer's (spec llm 2.6). */
function passOn(exchange: Asking, { asked, model, answering: begun }: Begun<TextModel>): OpenedAnswer {
  const { id } = exchange;
  const call = callOf(exchange);
  const prompts = listedPrompts(asked.prompt);
  const open = (signal: AbortSignal): AsyncIterable<readonly PassedChunk[]> => {
    const streams = prompts.map((prompt, index) => {
      const items = itemsOfWorker(model.raw, passedCompletion(asked, prompt), { ...call, signal, id: idOf(id, index, prompts.length) });
      return readPassed(items, { route: 'completions', first: index * (asked.n ?? 1) });
    });
    return merged(streams);
  };
  const answering: Answering<PassedChunk> = { ...begun, open };
  return opened({
    answering,
    stream: asked.stream === true,
    whole: () => new PassedAnswer('completions'),
    events: () => ({ writer: passedEvents('completions'), opening: () => annotationEvents(asked.nvext?.annotations ?? [], { id }) }),
  });
}

async function* merged<Chunk>(streams: readonly AsyncIterable<readonly Chunk[]>[]): AsyncGenerator<readonly Chunk[]> {
  for await (const { batch } of merge(streams)) yield batch;
}

/** Several prompts are several engine requests, with ids `…-0`, `…-1` (spec llm 2.1). */
const idOf = (id: string, index: number, count: number): string => (count === 1 ? id : `${id}-${index}`);

interface Prompts {
  readonly id: string;
  readonly model: ServingModel;
  readonly prompts: readonly (readonly number[])[];
  readonly common: Omit<TokenRequest, 'tokenIds'>;
}

function shapesOf(asked: CompletionRequest, { id, model, prompts, common }: Prompts): readonly CompletionShape[] {
  const facts = wantedFields(asked);
  return prompts.map((prompt, index) => ({
    id: idOf(id, index, prompts.length),
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
