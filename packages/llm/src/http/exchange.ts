import { DynamoError } from '@dynamo/runtime';
import { errorTable } from '@dynamo/runtime/internal';
import { routeHeaderName } from '@dynamo/kv-router/internal';
import type { FastifyReply } from 'fastify';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import type { Placed } from '../frontend/serving-model.ts';
import type { TextChunk } from '../stages/to-text.ts';
import { AnswerFailed, clientLeft } from './answer-failed.ts';
import type { EventWriter } from './chat-answer.ts';
import { type Failure, failureOf, fromWorker, overloadedAs, streamFailure } from './errors.ts';
import { eventStream } from './event-stream.ts';
import { named } from './request-facts.ts';
import type { RouteParts } from './routes/parts.ts';
import { send, sendJson } from './send.ts';
import type { HttpSettings } from './settings.ts';
import { drained, leaveSignal, sseEnd } from './sse.ts';

/** What the sending of an answer needs to know of a chunk: how many tokens it counts for. */
export interface Counted {
  readonly tokenIds: readonly number[];
}

/** One text answer under way: its stream, how it is written, and who counts it. */
export interface Answering<Chunk extends Counted = TextChunk> {
  readonly model: string;
  readonly record: RequestRecord;
  readonly http: HttpSettings;
  /** Filled with where the first of its engine requests went, once it is on its way. */
  readonly placed?: Placed;
  /** Opens the stream of chunks; the signal aborts when the client leaves. */
  readonly open: (signal: AbortSignal) => AsyncIterable<readonly Chunk[]>;
}

/** Sends an answer whole. */
export async function sendWhole<Chunk extends Counted>(
  reply: FastifyReply,
  answering: Answering<Chunk>,
  gather: { add(chunk: Chunk): void; text(): string },
): Promise<FastifyReply | undefined> {
  using left = leaveSignal(reply.raw);
  let first = true;
  try {
    for await (const batch of answering.open(left.signal)) {
      first = false;
      let tokens = 0;
      for (const chunk of batch) {
        tokens += chunk.tokenIds.length;
        gather.add(chunk);
      }
      answering.record.output(tokens);
    }
  } catch (thrown) {
    const error = left.cut ?? thrown;
    if (left.cut === undefined && left.signal.aborted) throw clientLeft(reply, error);
    throw new AnswerFailed(failureOf(named(error, answering.model), { first }), error);
  }
  return sendJson(tellRoute(reply, answering), gather.text());
}

/** Sends an answer as an event stream: per batch one string and one write, every chunk an event of its own. */
export async function sendEvents<Chunk extends Counted>(
  reply: FastifyReply,
  answering: Answering<Chunk>,
  options: { writer: EventWriter<Chunk>; opening: () => string },
): Promise<void> {
  const response = reply.raw;
  const { http } = answering;
  using left = leaveSignal(response);
  using stream = eventStream(reply, { opening: options.opening, http, head: () => void tellRoute(reply, answering) });
  const { writer } = options;
  // What has been written of a batch stays valid when the rest of it fails.
  let text = '';
  try {
    for await (const batch of answering.open(left.signal)) {
      stream.begin();
      let tokens = 0;
      for (const chunk of batch) {
        tokens += chunk.tokenIds.length;
        text += writer.chunk(chunk);
      }
      answering.record.output(tokens);
      const full = text !== '' && !response.write(text);
      text = '';
      if (full) await drained(response);
    }
    stream.begin();
    response.end(writer.end() + sseEnd);
  } catch (thrown) {
    const error = left.cut ?? thrown;
    if (left.cut === undefined && left.signal.aborted) throw clientLeft(reply, error);
    // An operator may have early errors told as a status, by letting streams wait for them.
    if (!stream.begun && (http.errorPeekMs !== undefined || !hasBegun(error)))
      throw new AnswerFailed(failureOf(named(error, answering.model), { first: true }), error);
    stream.begin();
    const told = failureOf(error, { first: false });
    response.end(text + (writer.failed?.(failureOf(error, { first: true }), told) ?? streamFailure(error)) + sseEnd);
    throw new AnswerFailed(told, error);
  }
}

/** Says where the request went and why, where that was asked for. */
function tellRoute(reply: FastifyReply, { placed }: Pick<Answering, 'placed'>): FastifyReply {
  return placed?.route === undefined ? reply : reply.header(routeHeaderName, placed.route);
}

/** Whether the real stream would have begun before this failure: a worker told of it, or was silent for too long (spec llm 3.3). */
function hasBegun(thrown: unknown): boolean {
  const error = DynamoError.from(thrown);
  return fromWorker(error) || error.code === 'response_timeout';
}

/** Gives a failure the body that a door's clients expect. */
export type ShapeFailure = (told: Failure) => Failure;

/** Ends a request that has failed: counts it, logs what the client is not told, and answers unless an answer has begun. Gives the status. */
export function settleFailure(
  thrown: unknown,
  options: { reply: FastifyReply; record: RequestRecord | undefined; parts: RouteParts; id: string; shaped?: ShapeFailure | undefined },
): number {
  const { reply, record, parts, id } = options;
  const told = overloadedAs(thrown instanceof AnswerFailed ? thrown.told : failureOf(thrown, { first: false }), parts.overloadStatus);
  const cause = DynamoError.from(thrown instanceof AnswerFailed ? thrown.cause : thrown);
  if (record !== undefined) endRecord(record, told, cause);
  if (told.status >= 500) parts.log.warn({ request: id, status: told.status, error: String(cause) }, 'a request failed');
  if (!reply.sent) void send(reply, options.shaped?.(told) ?? told);
  return told.status;
}

/** Counts a request that has failed and that no client over HTTP is told of. */
export const settleRecord = (record: RequestRecord, error: DynamoError): void => endRecord(record, failureOf(error, { first: false }), error);

const endRecord = (record: RequestRecord, told: Failure, cause: DynamoError): void =>
  record.end({
    errorType: told.body.type === 'Overloaded' ? 'overload' : (errorTypes[told.status] ?? (told.status < 500 ? 'validation' : 'internal')),
    class: errorTable[cause.code].class,
    reason: errorTable[cause.code].reason,
  });

const errorTypes: Readonly<Record<number, 'cancelled' | 'not_found' | 'not_implemented' | 'overload' | 'unavailable'>> = {
  404: 'not_found',
  429: 'overload',
  499: 'cancelled',
  501: 'not_implemented',
  503: 'unavailable',
  529: 'overload',
};
