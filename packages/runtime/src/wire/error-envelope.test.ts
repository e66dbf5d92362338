import { expect, test } from 'vitest';
import { DynamoError, type DynamoErrorCode, errorTable } from '../error.ts';
import { decodeError, encodeError } from './error-envelope.ts';

const codes = Object.keys(errorTable) as DynamoErrorCode[];

test.each(codes.flatMap((code) => (['local', 'backend'] as const).map((origin) => [code, origin] as const)))(
  '%s from %s comes back',
  (code, origin) => {
    const wire = encodeError(new DynamoError(code, 'text', { origin }));
    expect(Object.keys(wire)).toEqual(['error_type', 'class', 'reason', 'message', 'diagnostic']);
    const back = decodeError(JSON.parse(JSON.stringify(wire)));
    expect(back).toMatchObject({ code, message: 'text' });
    expect(encodeError(back)).toEqual(wire);
  },
);

test.each([
  ['Unknown', 'unknown'],
  ['InvalidArgument', 'invalid_argument'],
  ['CannotConnect', 'cannot_connect'],
  ['Disconnected', 'disconnected'],
  ['ConnectionTimeout', 'connection_timeout'],
  ['ResponseTimeout', 'response_timeout'],
  ['Cancelled', 'cancelled'],
  ['ResourceExhausted', 'resource_exhausted'],
  ['WorkerOverloaded', 'worker_overloaded'],
  ['Unavailable', 'unavailable'],
  ['WorkerUnavailable', 'worker_unavailable'],
  ['EngineShutdown', 'unknown'],
  ['constructor', 'unknown'],
  [{ Backend: 'EngineShutdown' }, 'engine_shutdown'],
  [{ Backend: 'StreamIncomplete' }, 'stream_incomplete'],
  [{ Backend: 'ResponseTimeout' }, 'response_timeout'],
  [{ Backend: 'InvalidArgument' }, 'invalid_argument'],
  [{ Backend: 'WorkerOverloaded' }, 'unknown'],
])('the older field alone: %j is %s', (type, code) => {
  expect(decodeError({ error_type: type, message: 'x' })).toMatchObject({ code, message: 'x' });
});

test('only public texts that real peers can read are written and read', () => {
  const shown = (value: unknown): unknown => encodeError(new DynamoError('unknown', 'x', { data: { public: value } })).public;
  for (const good of [
    { type: 'message', message: 'm' },
    { type: 'size_limit', limit: 1, actual: 2 },
    { type: 'context_length', limit: 1, actual: 2 },
    { type: 'rate_limit', limit: 1, remaining: 0 },
  ]) {
    expect(shown(good)).toEqual(good);
    expect(decodeError({ message: 'x', public: good }).data['public']).toEqual(good);
  }
  for (const bad of [{ type: 'message' }, { type: 'size_limit', limit: 1.5, actual: 2 }, { type: 'other' }, 'text', null])
    expect(shown(bad)).toBeUndefined();
});

test('causes travel along, and a chain without end is cut', () => {
  const inner = new DynamoError('disconnected', 'inner', { origin: 'backend' });
  const wire = encodeError(new DynamoError('unavailable', 'outer', { cause: inner }));
  expect(decodeError(wire).cause).toMatchObject({ code: 'disconnected', message: 'inner', origin: 'backend' });
  Object.defineProperty(inner, 'cause', { value: inner });
  expect(JSON.stringify(encodeError(inner)).match(/caused_by/g)).toHaveLength(8);
});

test("a handler's own exception is the backend's unknown failure, whatever its kind", () => {
  for (const error of [new Error('boom'), new TypeError('boom'), new RangeError('boom')]) {
    expect(encodeError(error)).toMatchObject({ error_type: { Backend: 'Unknown' }, reason: 'backend.unknown', message: `${error.name}: boom` });
  }
  expect(encodeError('just text').message).toBe('just text');
});
