import { DynamoError } from '@dynamo/runtime';
import { errorTable } from '@dynamo/runtime/internal';
import { routeHeaderName } from '@dynamo/kv-router/internal';
import type { FastifyReply } from 'fastify';
import type { RequestRecord } from '../frontend/frontend-metrics.ts';
import type { Placed } from '../frontend/serving-model.ts';
import type { TextChunk } from '../stages/to-text.ts';
import type { EventWriter } from './chat-answer.ts';
import { type Failure, failure, failureOf, fromWorker, overloadedAs, streamFailure } from './errors.ts';
import type { RouteParts } from './routes/parts.ts';
import { named } from './request-facts.ts';
import { send, sendJson } from './send.ts';
import { drained, leaveSignal, sseEnd, sseHeaders } from './sse.ts';

/** One text answer under way: its stream, how it is written, and who counts it. */
export interface Answering {
  readonly model: string;
  readonly record: RequestRecord;
  /** Filled with where the first of its engine requests went, once it is on its way. */
  readonly placed?: Placed;
  /** Opens the stream of chunks; the signal aborts when the client leaves. */
  readonly open: (signal: AbortSignal) => AsyncIterable<readonly TextChunk[]>;
}

/** Sends an answer whole. */
export async function sendWhole(
  reply: FastifyReply,
  answering: Answering,
  gather: { add(chunk: TextChunk): void; text(): string },
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
export async function sendEvents(reply: FastifyReply, answering: Answering, options: { writer: EventWriter; opening: string }): Promise<void> {
  const response = reply.raw;
  using left = leaveSignal(response);
  let begun = false;
  const begin = (): void => {
    if (begun) return;
    begun = true;
    tellRoute(reply, answering).hijack();
    response.writeHead(200, { ...sseHeaders, ...(reply.getHeaders() as Record<string, string>) });
    if (options.opening !== '') response.write(options.opening);
  };
  const { writer } = options;
  try {
    for await (const batch of answering.open(left.signal)) {
      begin();
      let text = '';
      let tokens = 0;
      for (const chunk of batch) {
        tokens += chunk.tokenIds.length;
        text += writer.chunk(chunk);
      }
      answering.record.output(tokens);
      if (text !== '' && !response.write(text)) await drained(response);
    }
    begin();
    response.end(writer.end() + sseEnd);
  } catch (thrown) {
    const error = left.cut ?? thrown;
    if (left.cut === undefined && left.signal.aborted) throw clientLeft(reply, error);
    if (!begun && !hasBegun(error)) throw new AnswerFailed(failureOf(named(error, answering.model), { first: true }), error);
    begin();
    response.end(streamFailure(error) + sseEnd);
    throw new AnswerFailed(failureOf(error, { first: false }), error);
  }
}

/** Says where the request went and why, where that was asked for. */
function tellRoute(reply: FastifyReply, { placed }: Answering): FastifyReply {
  return placed?.route === undefined ? reply : reply.header(routeHeaderName, placed.route);
}

/** Whether the real stream would have begun before this failure: a worker told of it, or was silent for too long (spec llm 3.3). */
function hasBegun(thrown: unknown): boolean {
  const error = DynamoError.from(thrown);
  return fromWorker(error) || error.code === 'response_timeout';
}

/** There is nobody to answer: the reply is left alone, and the failure is counted. */
function clientLeft(reply: FastifyReply, cause: unknown): AnswerFailed {
  reply.hijack();
  return new AnswerFailed(failure(499, 'Request cancelled'), cause);
}

/** An answer that ended in a failure: what the client was or is to be told, with what went wrong as its cause. */
class AnswerFailed extends Error {
  readonly told: Failure;
  constructor(told: Failure, cause: unknown) {
    super(told.body.message, { cause });
    this.told = told;
  }
}

/** Ends a request that has failed: counts it, logs what the client is not told, and answers unless an answer has begun. Gives the status. */
export function settleFailure(
  thrown: unknown,
  options: { reply: FastifyReply; record: RequestRecord | undefined; parts: RouteParts; id: string },
): number {
  const { reply, record, parts, id } = options;
  const told = overloadedAs(thrown instanceof AnswerFailed ? thrown.told : failureOf(thrown, { first: false }), parts.overloadStatus);
  const cause = DynamoError.from(thrown instanceof AnswerFailed ? thrown.cause : thrown);
  record?.end({
    errorType: told.body.type === 'Overloaded' ? 'overload' : (errorTypes[told.status] ?? (told.status < 500 ? 'validation' : 'internal')),
    class: errorTable[cause.code].class,
    reason: errorTable[cause.code].reason,
  });
  if (told.status >= 500) parts.log.warn({ request: id, status: told.status, error: String(cause) }, 'a request failed');
  if (!reply.sent) void send(reply, told);
  return told.status;
}

const errorTypes: Readonly<Record<number, 'cancelled' | 'not_found' | 'not_implemented' | 'overload' | 'unavailable'>> = {
  404: 'not_found',
  429: 'overload',
  499: 'cancelled',
  501: 'not_implemented',
  503: 'unavailable',
  529: 'overload',
};
