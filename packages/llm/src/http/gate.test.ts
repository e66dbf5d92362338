import { DynamoError } from '@dynamo/runtime';
import { expect, test, vi } from 'vitest';
import { RequestGate } from './gate.ts';

const limits = { concurrent: 2, queued: 1, queueMs: 1_000 };

test('places are given in the order of arrival, and given back once', () => {
  const gate = new RequestGate({ ...limits, queued: 10 });
  const inside: number[] = [];
  const places = [0, 1, 2, 3, 4].map((number) => gate.enter(() => void inside.push(number)));
  expect(inside).toEqual([0, 1]);
  expect([gate.running, gate.waiting]).toEqual([2, 3]);
  places[3]?.[Symbol.dispose]();
  places[0]?.[Symbol.dispose]();
  places[0]?.[Symbol.dispose]();
  expect(inside).toEqual([0, 1, 2]);
  places[1]?.[Symbol.dispose]();
  expect(inside).toEqual([0, 1, 2, 4]);
  for (const place of places) place[Symbol.dispose]();
  expect([gate.running, gate.waiting]).toEqual([0, 0]);
});

test('beyond the queue a request is refused with knob, measured value and limit', () => {
  const gate = new RequestGate(limits);
  const told: (Error | undefined)[] = [];
  for (let i = 0; i < 4; i++) gate.enter((error) => told.push(error));
  expect(told.slice(0, 2)).toEqual([undefined, undefined]);
  expect(told).toHaveLength(3);
  expect(DynamoError.is(told[2], 'queue_limit_exceeded') && told[2].data).toMatchObject({
    knob: 'DYN_HTTP_MAX_QUEUED_REQUESTS',
    measured: 1,
    limit: 1,
  });
});

test('who waits too long is refused, and holds no place afterwards', () => {
  vi.useFakeTimers();
  try {
    const gate = new RequestGate(limits);
    const [first, second] = [gate.enter(() => {}), gate.enter(() => {})];
    let refused: Error | undefined;
    const late = gate.enter((error) => (refused = error));
    vi.advanceTimersByTime(1_000);
    expect(DynamoError.is(refused, 'queue_limit_exceeded') && refused.data['knob']).toBe('DYN_HTTP_QUEUE_TIMEOUT_SECS');
    late[Symbol.dispose]();
    for (const place of [first, second]) place[Symbol.dispose]();
    expect([gate.running, gate.waiting]).toEqual([0, 0]);
  } finally {
    vi.useRealTimers();
  }
});
