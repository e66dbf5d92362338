import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { objectOf, textAt } from './wire/members.ts';

/** Statuses that say more than their class; the upstream's own key and limits are not the client's fault. */
const codes: Readonly<Record<number, DynamoErrorCode>> = {
  400: 'invalid_argument',
  401: 'unavailable',
  403: 'unavailable',
  404: 'not_found',
  413: 'payload_too_large',
  422: 'invalid_argument',
  429: 'worker_overloaded',
  503: 'worker_unavailable',
};

/** Most of an upstream's own words that an error repeats. */
const longestWords = 300;

/** An answer of an upstream that is no success, as a typed error with the upstream's own words where it has any. */
export function statusError(url: string, status: number, body: string): DynamoError {
  const words = wordsOf(body);
  const code = codes[status] ?? (status >= 500 ? 'unknown' : 'backend_protocol');
  return new DynamoError(code, words ?? `the upstream ${url} answered ${status}`, { origin: 'backend', data: { upstream: url, status } });
}

/** An upstream that speaks something else than its API. */
export const protocolError = (url: string, what: string): DynamoError =>
  new DynamoError('backend_protocol', `the upstream ${url} ${what}`, { origin: 'backend', data: { upstream: url } });

/** An upstream that has gone, or was never there: another worker may be asked. */
export const goneError = (url: string, cause: unknown): DynamoError =>
  new DynamoError('engine_shutdown', `the upstream ${url} can not be reached`, { origin: 'backend', cause, data: { upstream: url } });

/** An answer that broke off: another worker may go on with it. */
export const cutError = (url: string, cause?: unknown): DynamoError =>
  new DynamoError('stream_incomplete', `the upstream ${url} broke its answer off`, { origin: 'backend', cause, data: { upstream: url } });

/** An upstream that has said nothing for too long. */
export const silentError = (url: string, ms: number): DynamoError =>
  new DynamoError('response_timeout', `the upstream ${url} has been silent for ${ms} ms`, { origin: 'backend', data: { upstream: url } });

/** The message of an error body: `{ error: { message } }`, `{ error }`, `{ message }` or `{ detail }`. */
function wordsOf(body: string): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body);
  } catch {
    return undefined;
  }
  const wire = objectOf(parsed);
  const inner = objectOf(wire?.['error']);
  const words = textAt(inner, 'message') ?? textAt(wire, 'error') ?? textAt(wire, 'message') ?? textAt(wire, 'detail');
  return words === undefined ? undefined : words.slice(0, longestWords);
}
