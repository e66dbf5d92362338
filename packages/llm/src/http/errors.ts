import { STATUS_CODES } from 'node:http';
import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { errorTable } from '@dynamo/runtime/internal';
import type { PassedLimit } from './refusal.ts';

/** What a client is told of a failure; the error itself goes to the log (spec llm 2.3). */
export interface Failure {
  readonly status: number;
  /** Sent as the bare message. */
  readonly plain?: boolean;
  /** Body of the answer, as JSON. */
  readonly body: {
    readonly message: string;
    readonly type: string;
    readonly code: number;
    readonly details?: { readonly backend_status: number } | PassedLimit | QueueDetails;
  };
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent in place of the body where a client expects another shape. */
  readonly envelope?: object;
}

/** Which limit of a router's queue a request met (spec kv-router 9). */
interface QueueDetails {
  readonly policy_class: unknown;
  readonly limit_kind: unknown;
  readonly current: unknown;
  readonly limit: unknown;
}

/** Texts that stand for messages which clients must not see, by status. */
const texts: Readonly<Record<number, string>> = {
  400: 'Invalid request',
  404: 'Model not found',
  429: 'Rate limit exceeded',
  499: 'Request cancelled',
  500: 'Internal server error',
  503: 'Service temporarily unavailable',
  504: 'Request deadline exceeded',
  529: 'Service temporarily overloaded',
};

/** Reason phrases that differ from those of Node, or that it has none for. */
const phrases: Readonly<Record<number, string>> = { 418: "I'm a teapot", 499: 'Client Closed Request', 529: 'Overloaded' };

/** Names of failures inside an event stream, by status. */
const streamTypes: Readonly<Record<number, string>> = {
  429: 'rate_limit_error',
  499: 'request_cancelled',
  503: 'service_unavailable',
  504: 'timeout_error',
  529: 'overloaded_error',
};

const reasonPhrase = (status: number): string => phrases[status] ?? STATUS_CODES[status] ?? 'Error';

/** A failure with its own text, as routes make it. */
export const failure = (status: number, message: string): Failure => ({ status, body: { message, type: reasonPhrase(status), code: status } });

/**
 * Turns whatever went wrong into what the client is told.
 *
 * `first` says that no chunk had come yet: only then does a backend's own status reach the client.
 */
export function failureOf(thrown: unknown, { first }: { first: boolean }): Failure {
  const error = DynamoError.from(thrown);
  const told = error.data['told'] as Failure | undefined;
  if (told !== undefined) return told;
  const shown = publicMessage(error);
  if (shown !== undefined) return { ...failure(errorTable[error.code].httpStatus, shown.message), ...(shown.plain ? { plain: true } : {}) };
  const queued = queueLimit(error);
  if (queued !== undefined) return queued;
  if (nobodyRoutable(error)) return failure(500, 'Failed to generate completions');
  const backend = backendStatus(error);
  if (backend !== undefined) return first ? failure(backend, reasonPhrase(backend)) : failure(plain(backend), textOf(plain(backend)));
  const status = overloaded.includes(error.code) ? 529 : plain(errorTable[error.code].httpStatus);
  const plainly = failure(status, textOf(status));
  return first && status === 500 && fromWorker(error) ? { status, body: { ...plainly.body, details: { backend_status: 500 } } } : plainly;
}

/** A queue that is full says so in its own words. */
function queueLimit(error: DynamoError): Failure | undefined {
  const { policyClass, limitKind, current, limit } = error.data;
  if (error.code !== 'queue_limit_exceeded' || policyClass === undefined) return undefined;
  const told = failure(529, error.message);
  return { ...told, body: { ...told.body, details: { policy_class: policyClass, limit_kind: limitKind, current, limit } } };
}

/** A KV router found nobody for the request, or the worker of its session can't be reached (spec kv-router 8, 11). */
const nobodyRoutable = ({ code, data }: DynamoError): boolean =>
  code === 'unavailable' && (data['reason'] === 'no_endpoints' || (data['session'] !== undefined && data['quarantined'] === true));

/** Gives overload the status that the frontend is configured for, and says when to come again; the type stays (spec kv-router 10). */
export const overloadedAs = (told: Failure, status: number): Failure =>
  told.status === 529 ? { ...told, status, body: { ...told.body, code: status }, headers: { 'retry-after': '1', ...told.headers } } : told;

/** The same inside an event stream that has begun: `data: {"error":…}` (spec llm 0.1). */
export function streamFailure(thrown: unknown): string {
  const { status, body } = failureOf(thrown, { first: false });
  const type = streamTypes[status] ?? (status < 500 ? 'invalid_request_error' : 'internal_server_error');
  return `data: ${JSON.stringify({ error: { message: body.message, type, code: status } })}\n\n`;
}

/** Whether a worker told of the failure itself, in a stream that it had opened: such streams have begun with status 200 (spec llm 0.2). */
export const fromWorker = (error: DynamoError): boolean => error.origin === 'backend' || error.data['remote'] === true;

const overloaded: readonly DynamoErrorCode[] = ['resource_exhausted', 'worker_overloaded', 'queue_limit_exceeded'];

const textOf = (status: number): string => texts[status] ?? reasonPhrase(status);

/** A backend's odd statuses become the plain ones of their class. */
const plain = (status: number): number => (texts[status] !== undefined || status === 501 ? status : status < 500 ? 400 : 500);

/** What a client may see of an error; a `text` is sent without JSON around it. */
function publicMessage(error: DynamoError): { message: string; plain: boolean } | undefined {
  const shown = error.data['public'] as { type?: unknown; message?: unknown } | undefined;
  if (typeof shown?.message !== 'string' || (shown.type !== 'message' && shown.type !== 'text')) return undefined;
  return { message: shown.message, plain: shown.type === 'text' };
}

/** The status that a Python `HttpError` carries in its text (spec runtime-wire 9.2). */
function backendStatus(error: DynamoError): number | undefined {
  if (!error.message.startsWith('{')) return undefined;
  try {
    const { code, message } = JSON.parse(error.message) as { code?: unknown; message?: unknown };
    return typeof message === 'string' && Number.isInteger(code) && (code as number) >= 400 && (code as number) < 600 ? (code as number) : undefined;
  } catch {
    return undefined;
  }
}

/** A body of another kind than JSON, or of none. */
export function unsupportedMedia(inText: boolean): DynamoError {
  const [type, message] = inText
    ? ['text', 'Expected request with `Content-Type: application/json`']
    : ['message', 'Expected request with Content-Type application/json'];
  return new DynamoError('unsupported_media', message, { data: { public: { type, message } } });
}
