import type { Logger } from '@dynamo/runtime';
import { speakingFor, type Span, type Tracer } from '@dynamo/runtime/internal';
import type { FastifyRequest } from 'fastify';
import type { CountedEndpoint, RequestRecord } from '../frontend/frontend-metrics.ts';

/** What is known of a request once its body has been read. */
export interface AskedFor {
  readonly model: string;
  readonly endpoint: CountedEndpoint;
  readonly stream: boolean;
  /** Most tokens of the answers to one prompt; undefined where the client sets no limit. */
  readonly answerTokens?: number | undefined;
}

/** How one HTTP request is told of: as the span `http-request`, and in the log lines of the real frontend. */
export interface HttpStory {
  /** Headers for the worker: the trace, and how a proxy in front calls the request. */
  readonly headers: Readonly<Record<string, string>>;
  /** The body has been read; gives back the record that also fills the span. */
  began(asked: AskedFor, record: RequestRecord): RequestRecord;
  /** The answer has ended, with what went wrong. */
  end(status: number, error?: unknown): void;
}

/** What all stories are told with. */
export interface StoryTellers {
  readonly tracer: Tracer | undefined;
  readonly log: Logger;
}

/** Who tells of requests: the name that the real frontend's lines of this kind have, so that its filters fit. */
const storyTarget = 'dynamo_llm::http::service::metrics';

/** Headers that travel on to the worker as they came (spec runtime-wire 11). */
const passedOn = ['traceparent', 'tracestate', 'x-request-id'] as const;

/** Begins the story of a request. */
export function tellHttpRequest({ tracer, log }: StoryTellers, request: FastifyRequest, id: string): HttpStory {
  const headers: Record<string, string> = {};
  for (const name of passedOn) {
    const value = request.headers[name];
    if (typeof value === 'string') headers[name] = value;
  }
  const { traceparent, tracestate, 'x-request-id': proxyId } = headers;
  const span = tracer?.start('http-request', {
    kind: 'internal',
    parent: traceparent,
    tracestate,
    attributes: { method: request.method, uri: request.url, version: `HTTP/${request.raw.httpVersion}`, request_id: id, x_request_id: proxyId },
  });
  if (span !== undefined) headers['traceparent'] = span.traceparent;
  const tells = log.isLevelEnabled?.('info') === true;
  const started = performance.now();
  const write = (level: 'info' | 'error', fields: Record<string, unknown>, message: string): void => {
    const own = log.child?.({ target: storyTarget, ...(span?.facts() ?? { span_name: 'http-request', request_id: id }) }) ?? log;
    own[level](fields, message);
  };
  let facts: Record<string, unknown> | undefined;
  return {
    headers,
    began({ model, endpoint, stream }, record) {
      facts = { endpoint, model, request_type: stream ? 'stream' : 'unary' };
      span?.set('model', model);
      if (tells) write('info', facts, 'request received');
      span?.event('request received');
      return span === undefined ? record : filling(span, record, started);
    },
    end(status, error) {
      const outcome = error === undefined ? 'success' : status === 499 ? 'cancelled' : 'error';
      span?.set('request.outcome', outcome);
      if (outcome === 'error') span?.fail(String(status));
      const elapsed = Math.round(performance.now() - started);
      if (tells && facts !== undefined)
        write(outcome === 'error' ? 'error' : 'info', { ...facts, status: outcome, elapsed_ms: elapsed }, 'request completed');
      span?.event('request completed');
      span?.end();
    },
  };
}

export const httpTellers = (parts: { tracer: Tracer | undefined; log: Logger }): StoryTellers => ({
  ...parts,
  log: speakingFor(parts.log, storyTarget),
});

/** The record, and the span beside it: lengths and speeds in the words of the real frontend's span. */
function filling(span: Span, record: RequestRecord, started: number): RequestRecord {
  let tokens = 0;
  let first = 0;
  return {
    stages: record.stages,
    input(count) {
      span.set('input_tokens', String(count));
      record.input(count);
    },
    output(count) {
      if (first === 0 && count > 0) first = performance.now();
      tokens += count;
      record.output(count);
    },
    cached: (count) => record.cached(count),
    end(outcome) {
      if (first > 0) {
        span.set('output_tokens', String(tokens));
        span.set('ttft_ms', (first - started).toFixed(2));
        if (tokens > 1) span.set('avg_itl_ms', ((performance.now() - first) / (tokens - 1)).toFixed(2));
      }
      record.end(outcome);
    },
  };
}
