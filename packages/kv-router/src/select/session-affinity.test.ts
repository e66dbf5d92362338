import { readFileSync } from 'node:fs';
import { decodeJson } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { type AffinityEvent, decodeAffinityEvent, encodeAffinityEvent } from '../wire/session-affinity.ts';
import { SessionAffinity } from './session-affinity.ts';

const captured = decodeJson(readFileSync(new URL('../../../../vectors/kv-router/session_affinity.json', import.meta.url), 'utf8')) as {
  messages: { payload_hex: string; payload: any }[];
};

test.each(captured.messages.map((message, at) => [at, message] as const))(
  'captured message %i is read and written to the byte',
  (_at, { payload_hex: hex, payload }) => {
    const event = decodeAffinityEvent(Buffer.from(hex, 'hex'));
    expect(event).toEqual({
      sessionId: payload.session_id,
      workerId: BigInt(payload.worker_id),
      sequence: BigInt(payload.sequence),
      writerId: BigInt(payload.writer_id),
    });
    expect(Buffer.from(encodeAffinityEvent(event)).toString('hex')).toBe(hex);
  },
);

function table(options: { mode?: 'hard' | 'soft'; writerId?: bigint; limit?: number } = {}) {
  let now = 0;
  const sent: AffinityEvent[] = [];
  const affinity = new SessionAffinity({
    ttlSeconds: 4,
    writerId: 1n,
    clock: () => now,
    now: () => 100n,
    publish: (event) => sent.push(event),
    ...options,
  });
  return { affinity, sent, wait: (ms: number) => (now += ms) };
}
const usable = { standing: () => 'usable' as const };

test('a session stays while it is used and moves on after silence', () => {
  const { affinity, wait } = table();
  affinity.dispatched('s', { workerId: 7n });
  for (let n = 0; n < 5; n++) {
    wait(2000);
    expect(affinity.wish('s', usable)).toEqual({ type: 'pin', to: { workerId: 7n } });
    affinity.dispatched('s', { workerId: 7n });
    affinity.ended('s');
  }
  wait(5200);
  expect(affinity.wish('s', usable)).toEqual({ type: 'none' });
});

test('hard: an exact pin, also to a worker in quarantine; a request for another worker is refused', () => {
  const { affinity } = table();
  affinity.dispatched('s', { workerId: 1n, dpRank: 2 });
  expect(() => affinity.wish('s', { ...usable, pinned: 0n })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(affinity.wish('s', { ...usable, pinned: 1n })).toEqual({ type: 'pin', to: { workerId: 1n, dpRank: 2 } });
  expect(affinity.wish('s', { standing: () => 'unusable' })).toEqual({ type: 'pin', to: { workerId: 1n, dpRank: 2 } });
  expect(affinity.wish('s', { standing: () => 'gone' })).toEqual({ type: 'none' });
  affinity.dispatched('s', { workerId: 5n });
  expect(affinity.get('s')).toEqual({ workerId: 5n });
});

test('soft: gives way when its worker cannot be used, and stays with the next one', () => {
  const { affinity } = table({ mode: 'soft' });
  affinity.dispatched('s', { workerId: 1n });
  expect(affinity.wish('s', usable)).toEqual({ type: 'prefer', to: { workerId: 1n } });
  expect(affinity.wish('s', { standing: () => 'unusable' })).toEqual({ type: 'none' });
  affinity.dispatched('s', { workerId: 2n });
  expect(affinity.wish('s', usable)).toEqual({ type: 'prefer', to: { workerId: 2n } });
  expect(affinity.wish('s', { ...usable, pinned: 1n })).toEqual({ type: 'none' });
});

test('routers tell each other: a new binding is a new version, a use repeats the old one', () => {
  const a = table({ writerId: 1n });
  const b = table({ writerId: 2n });
  a.affinity.dispatched('s', { workerId: 7n });
  a.affinity.ended('s');
  expect(a.sent).toEqual([
    { sessionId: 's', workerId: 7n, sequence: 101n, writerId: 1n },
    { sessionId: 's', workerId: 7n, sequence: 101n, writerId: 1n },
  ]);
  for (const event of a.sent.splice(0)) b.affinity.onEvent(event);
  expect(b.affinity.wish('s', usable)).toEqual({ type: 'pin', to: { workerId: 7n } });
  b.affinity.dispatched('s', { workerId: 7n });
  expect(b.sent.splice(0)).toEqual([{ sessionId: 's', workerId: 7n, sequence: 101n, writerId: 1n }]);
  b.affinity.dispatched('s', { workerId: 8n });
  expect(b.sent).toEqual([{ sessionId: 's', workerId: 8n, sequence: 102n, writerId: 2n }]);
  a.affinity.onEvent({ sessionId: 's', workerId: 8n, sequence: 102n, writerId: 2n });
  a.affinity.onEvent({ sessionId: 's', workerId: 9n, sequence: 102n, writerId: 1n });
  expect(a.affinity.get('s')).toEqual({ workerId: 8n });
});

test('the longest unused session goes first when there is no room', () => {
  const { affinity } = table({ limit: 2 });
  affinity.dispatched('a', { workerId: 1n });
  affinity.dispatched('b', { workerId: 1n });
  affinity.ended('a');
  affinity.dispatched('c', { workerId: 1n });
  expect([affinity.size, affinity.get('a') !== undefined, affinity.get('b') !== undefined]).toEqual([2, true, false]);
});

test('a time to live out of range is refused in the words of the real router', () => {
  for (const ttlSeconds of [0, 31_536_001, NaN]) {
    expect(() => new SessionAffinity({ ttlSeconds, writerId: 1n, clock: () => 0, now: () => 0n })).toThrow(
      'session_affinity_ttl_secs must be between 1 and 31536000',
    );
  }
});
