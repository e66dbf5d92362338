import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DynamoError, type DynamoErrorCode } from '../error.ts';
import { decodeError, encodeError, type WireError } from './error-envelope.ts';

interface HttpRow {
  request: { exc: string; code?: number };
  items: { error?: WireError }[];
}
const vectors = JSON.parse(readFileSync(new URL('../../../../vectors/runtime/error-envelopes-2.json', import.meta.url), 'utf8')) as HttpRow[];

/** Spec runtime-wire 9.1: every pair that real peers take, with our code and its origin. */
const pairs: readonly (readonly [className: string, reason: string, code: DynamoErrorCode, origin?: 'backend' | undefined])[] = [
  ['InvalidRequest', 'request.invalid', 'invalid_argument'],
  ['InvalidRequest', 'request.invalid_argument', 'invalid_argument'],
  ['InvalidRequest', 'backend.invalid_argument', 'invalid_argument', 'backend'],
  ['Unavailable', 'transport.cannot_connect', 'cannot_connect'],
  ['Unavailable', 'transport.disconnected', 'disconnected'],
  ['Unavailable', 'backend.unavailable', 'unavailable'],
  ['Unavailable', 'backend.worker_unavailable', 'worker_unavailable'],
  ['Unavailable', 'backend.cannot_connect', 'cannot_connect', 'backend'],
  ['Unavailable', 'backend.disconnected', 'disconnected', 'backend'],
  ['Unavailable', 'backend.engine_shutdown', 'engine_shutdown', 'backend'],
  ['Unavailable', 'backend.stream_incomplete', 'stream_incomplete', 'backend'],
  ['DeadlineExceeded', 'transport.connection_timeout', 'connection_timeout'],
  ['DeadlineExceeded', 'backend.response_timeout', 'response_timeout'],
  ['DeadlineExceeded', 'backend.connection_timeout', 'connection_timeout', 'backend'],
  ['DeadlineExceeded', 'request.deadline_exceeded', 'deadline_exceeded'],
  ['Cancelled', 'request.cancelled', 'cancelled'],
  ['Cancelled', 'backend.cancelled', 'cancelled', 'backend'],
  ['CapacityExhausted', 'capacity.pool_exhausted', 'resource_exhausted'],
  ['CapacityExhausted', 'capacity.exhausted', 'queue_limit_exceeded'],
  ['CapacityExhausted', 'capacity.worker_overloaded', 'worker_overloaded'],
  ['Internal', 'runtime.unclassified', 'unknown'],
  ['Internal', 'runtime.internal', 'unknown'],
  ['Internal', 'runtime.invalid_error', 'unknown'],
  ['Internal', 'backend.unknown', 'unknown', 'backend'],
  ['Unauthenticated', 'request.unauthenticated', 'unauthenticated'],
  ['PermissionDenied', 'request.permission_denied', 'permission_denied'],
  ['NotFound', 'request.not_found', 'not_found'],
  ['PayloadTooLarge', 'request.payload_too_large', 'payload_too_large'],
  ['UnsupportedMedia', 'request.unsupported_media', 'unsupported_media'],
  ['RateLimited', 'request.rate_limited', 'rate_limited'],
  ['BackendProtocol', 'backend.protocol', 'backend_protocol'],
  ['NotImplemented', 'runtime.not_implemented', 'not_implemented'],
];
const classes = [...new Set(pairs.map(([className]) => className))];

test.each(pairs)('%s with %s is read, and written again as the same pair', (className, reason, code, origin) => {
  const error = decodeError({ class: className, reason, diagnostic: 'text' });
  expect(error).toMatchObject({ code, message: 'text' });
  const wire = encodeError(error);
  expect(wire).toMatchObject({ class: className, reason, message: 'text', diagnostic: 'text' });
  if (origin === 'backend') expect(wire.error_type).toBeTypeOf('object');
  // Without the older field, codes that only a backend has do not say whose they are, and need not.
  if (code !== 'engine_shutdown' && code !== 'stream_incomplete') expect(error.origin).toBe(origin ?? 'local');
});

test('every other pairing of fourteen classes and thirty-two reasons is an unknown internal error', () => {
  expect([classes.length, pairs.length]).toEqual([14, 32]);
  const valid = new Set(pairs.map(([className, reason]) => `${className} ${reason}`));
  let others = 0;
  for (const className of [...classes, 'Surprise']) {
    for (const reason of [...pairs.map((pair) => pair[1]), 'surprise']) {
      if (valid.has(`${className} ${reason}`)) continue;
      others++;
      const error = decodeError({ error_type: 'Disconnected', class: className, reason, message: 'text' });
      expect(error, `${className} ${reason}`).toMatchObject({ code: 'unknown', origin: 'local', message: 'text' });
    }
  }
  expect(others).toBe(15 * 33 - 32);
});

test('the pair wins over the older type, and the diagnostic over the message', () => {
  const wire = { error_type: { Backend: 'Unknown' }, class: 'RateLimited', reason: 'request.rate_limited', message: 'old', diagnostic: 'new' };
  expect(decodeError(wire)).toMatchObject({ code: 'rate_limited', message: 'new' });
  expect(decodeError({ ...wire, class: 'Internal' })).toMatchObject({ code: 'unknown' });
  expect(decodeError({ error_type: 'CannotConnect', class: 'Unavailable', message: 'half a pair' })).toMatchObject({ code: 'cannot_connect' });
  expect(decodeError({})).toMatchObject({ code: 'unknown' });
});

/** Spec runtime-wire 9.2: what a handler's HTTP status says. */
const statuses: readonly (readonly [status: number, code: DynamoErrorCode])[] = [
  [400, 'invalid_argument'],
  [401, 'unauthenticated'],
  [403, 'permission_denied'],
  [404, 'not_found'],
  [408, 'deadline_exceeded'],
  [413, 'payload_too_large'],
  [415, 'unsupported_media'],
  [422, 'invalid_argument'],
  [429, 'rate_limited'],
  [499, 'cancelled'],
  [500, 'unknown'],
  [501, 'not_implemented'],
  [502, 'backend_protocol'],
  [503, 'unavailable'],
  [504, 'deadline_exceeded'],
  [529, 'queue_limit_exceeded'],
];
const http = new Map(vectors.flatMap(({ request, items }) => (request.exc === 'HttpError' ? [[request.code, items[0]?.error]] : [])));

test.each(statuses.filter(([status]) => http.has(status)))("a handler's HTTP status %i is %s", (status: number, code: string) => {
  const wire = http.get(status);
  const error = decodeError(wire);
  expect(error).toMatchObject({ code, data: { remote: true } });
  expect(encodeError(error)).toEqual(wire);
});

test('the captured statuses are all in the table', () => {
  const table = new Map(statuses);
  expect([...http.keys()].filter((status) => !table.has(status ?? 0) && decodeError(http.get(status)).code !== 'unknown')).toEqual([]);
  expect(http.size).toBeGreaterThan(12);
});

test('an error that is handed on keeps its reason, its public text and its causes', () => {
  const inner = { error_type: 'ResponseTimeout', class: 'DeadlineExceeded', reason: 'request.deadline_exceeded', message: 'i', diagnostic: 'i' };
  const wire = {
    error_type: 'InvalidArgument',
    class: 'InvalidRequest',
    reason: 'request.invalid',
    message: 'o',
    diagnostic: 'o',
    public: { type: 'context_length', limit: 10, actual: 12 },
    caused_by: inner,
  };
  const error = decodeError(wire);
  expect(error.cause).toSatisfy((cause) => DynamoError.is(cause, 'deadline_exceeded'));
  expect(encodeError(error)).toEqual(wire);
});
