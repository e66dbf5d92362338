import { DynamoError } from '@dynamo/runtime';
import { batchesOf } from '@dynamo/runtime/internal';
import type { TokenRequest } from '@dynamo/kv-router';
import { answer } from '../frontend/answer.ts';
import type { CountedEndpoint, RequestRecord } from '../frontend/frontend-metrics.ts';
import type { AnyModel, ServingModel, TextModel } from '../frontend/serving-model.ts';
import type { ChatRequest } from '../openai/chat.ts';
import { engineRequest, variablesOf } from '../openai/engine-request.ts';
import { passedChat } from '../openai/passed-request.ts';
import { answerParserFor } from '../parsers/for-request.ts';
import type { AnswerChunk } from '../stages/parse-answer.ts';
import { renderPrompt } from '../template/render-prompt.ts';
import { agentContext, type InputTrigger } from './agent-context.ts';
import { AnswerFacts } from './answer-facts.ts';
import type { Asking } from './asking.ts';
import type { ChatShape, EventWriter } from './chat-answer.ts';
import { type Answering, sendEvents, sendWhole } from './exchange.ts';
import { readPassed } from './passed-answer.ts';
import { answerChunks } from './passed-chunks.ts';
import { withMedia, withPixels } from './chat-media.ts';
import { answerTokens, asksForPieces, callOf, knownTokens, modelFor, pinnedInstance, wantedFields } from './request-facts.ts';
import type { TextExchange } from './text-route.ts';
import { UsageCount } from './usage.ts';
import { itemsOfWorker } from './worker-items.ts';

/** A chat request on its way, whichever door it came in by: its chunks, and what whoever writes the answer must know. */
export interface ChatRun {
  readonly id: string;
  /** The model's name as the answer tells it. */
  readonly model: string;
  /** Counts what it is given: the writer adds each chunk to it. */
  readonly usage: UsageCount;
  /** What `nvext` may add; undefined where the worker makes the tokens. */
  readonly facts?: AnswerFacts;
  readonly answering: Answering<AnswerChunk>;
}

/** The same for a model that takes tokens. */
export interface TokenRun extends ChatRun {
  readonly shape: ChatShape;
  readonly tokens: TokenRequest;
  readonly prompt: string | undefined;
}

/** A chat request whose model has been looked up, and who counts it. */
export interface BegunChat<Model> {
  readonly asked: ChatRequest;
  readonly model: Model;
  readonly record: RequestRecord;
}

/**
 * Begins a chat request that came in by a door of its own, such as `/v1/responses`: it is counted under that door's name, and
 * runs through the pipeline of the chat route, for models that take tokens and for those that take text.
 *
 * @throws DynamoError with a public message where the model is not there.
 */
export async function runChat(exchange: Asking, asked: ChatRequest, endpoint: CountedEndpoint): Promise<ChatRun> {
  const record = beginChat(exchange, asked, endpoint);
  return runBegun(exchange, { asked, model: modelFor(exchange.parts, asked.model, 'chat'), record });
}

/** The same for a request that has been begun and whose model is known. */
export async function runBegun(exchange: Asking, { model, ...begun }: BegunChat<AnyModel>): Promise<ChatRun> {
  return model.input === 'text' ? runOnText(exchange, { ...begun, model }) : runOnTokens(exchange, { ...begun, model });
}

/** Counts a chat request. */
export const beginChat = (exchange: Asking, asked: ChatRequest, endpoint: CountedEndpoint): RequestRecord =>
  exchange.begin({
    model: asked.model,
    endpoint,
    stream: asked.stream === true,
    answerTokens: answerTokens(asked.max_completion_tokens ?? asked.max_tokens, asked.n),
  });

/** Renders and tokenizes a chat, and says how its answer is opened: nothing is sent to a worker before that. */
export async function runOnTokens(exchange: Asking, { asked, model, record }: BegunChat<ServingModel>): Promise<TokenRun> {
  const { http } = exchange.parts;
  if (model.template === undefined) throw new DynamoError('not_found', 'Model not found');
  const { stages } = record;
  stages.begin();
  const given = asked.nvext?.token_data ?? undefined;
  const began = performance.now();
  const variables = variablesOf(asked, model);
  const prompt = given === undefined ? renderPrompt(model.template, asked, variables) : undefined;
  const rendered = performance.now();
  const tokenIds = given === undefined ? await model.encode(prompt ?? '') : knownTokens(given, model);
  if (given === undefined) stages.prepared({ template: rendered - began, tokenize: performance.now() - rendered });
  else stages.prepared({});
  record.input(tokenIds.length);
  const session = agentContext(exchange.request.headers, triggerOf(asked));
  const plain = engineRequest(asked, model);
  const text = { ...plain, tokenIds, ...(session === undefined ? {} : { extra: { ...plain.extra, ...session } }) };
  const tokens = await withMedia(text, asked, { model, prompt });
  const facts = new AnswerFacts(wantedFields(asked));
  facts.placed.onSent = () => stages.sent();
  const instance = pinnedInstance(tokens, model);
  if (instance !== undefined) facts.placed.instance = instance;
  const pieces = asked.stream === true && asksForPieces(exchange.request.headers);
  const parser = answerParserFor(asked, model.parsers, { variables, prompt, pieces });
  const usage = new UsageCount(tokenIds.length, { reasoning: parser?.reasons === true });
  const shape: ChatShape = {
    http,
    id: exchange.id,
    model,
    facts,
    usage,
    names: { tokenizer: model.tokenizer, asIds: tokens.output?.returnTokensAsTokenIds ?? false },
    includeUsage: asked.stream_options?.include_usage ?? false,
    continuousUsage: asked.stream_options?.continuous_usage_stats ?? false,
  };
  const call = {
    ...callOf(exchange),
    parser,
    placed: facts.placed,
    detokenized: (ms: number, count: number) => stages.detokenized(ms, count),
    ...(instance === undefined ? {} : { instance }),
  };
  const plainly = (sent: TokenRequest, signal: AbortSignal): AsyncIterable<readonly AnswerChunk[]> =>
    batchesOf(answer(model, sent, { ...call, signal }));
  const open = withPixels(exchange.parts.media, { asked, model, tokens }, plainly);
  const answering = { record, http, model: model.name, placed: facts.placed, open };
  return { id: exchange.id, model: model.name, usage, facts, answering, shape, tokens, prompt };
}

/** Such a worker is always asked for a stream with its usage, as its answer is written anew. */
const streamed = (asked: ChatRequest): ChatRequest => ({ ...asked, stream: true, stream_options: { ...asked.stream_options, include_usage: true } });

/** A text-input worker gets the chat as it is, and says itself what is a thought and what a call (spec llm 2.6). */
function runOnText(exchange: Asking, { asked, model, record }: BegunChat<TextModel>): ChatRun {
  const { id, parts } = exchange;
  const call = callOf(exchange);
  const open = (signal: AbortSignal): AsyncIterable<readonly AnswerChunk[]> =>
    answerChunks(readPassed(itemsOfWorker(model.raw, passedChat(streamed(asked)), { ...call, signal }), { route: 'chat' }));
  return { id, model: model.name, usage: new UsageCount(0, { told: true }), answering: { record, http: parts.http, model: model.name, open } };
}

/** How an answer is written: whole or as events. */
export type ChatWriting =
  | { readonly gather: { add(chunk: AnswerChunk): void; text(): string } }
  | { readonly writer: EventWriter<AnswerChunk>; readonly opening: () => string };

/** Sends the answer of a run, and counts what the worker had cached of its prompt. */
export async function sendRun({ reply }: TextExchange, run: ChatRun, writing: ChatWriting): Promise<void> {
  if ('gather' in writing) await sendWhole(reply, run.answering, writing.gather);
  else await sendEvents(reply, run.answering, writing);
  if (run.usage.cached !== undefined) run.answering.record.cached(run.usage.cached);
}

/** What made an agent ask: the user, a tool that has answered, or something else. */
function triggerOf({ messages }: ChatRequest): InputTrigger {
  const role = messages.at(-1)?.role;
  return role === 'user' ? 'user_message' : role === 'tool' ? 'tool_result' : 'other';
}
