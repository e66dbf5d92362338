import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeJson } from '../wire/json.ts';
import { encodeMsgpack } from '../wire/msgpack.ts';
import { decodeSessionEvent, encodeSessionEvent, type SessionEvent } from '../wire/session-event.ts';
import { Sessions } from './sessions.ts';

test('use begins the idle time anew, silence ends the binding, and what has expired takes no room', () => {
  let now = 0;
  const sessions = new Sessions({ ttlMs: 4_000, now: () => now });
  sessions.bind('kept', { instance: 1n });
  sessions.bind('left', { instance: 2n });
  for (now = 2_000; now <= 10_000; now += 2_000) {
    expect(sessions.get('kept')?.instance).toBe(1n);
    sessions.bind('kept', { instance: 1n });
  }
  expect([sessions.get('left'), sessions.size]).toEqual([undefined, 1]);
  now += 3_999;
  expect(sessions.get('kept')).toBeUndefined();
  expect(sessions.size).toBe(0);
});

test('the session that was idle longest makes room', () => {
  const sessions = new Sessions({ ttlMs: 1_000, limit: 2, now: () => 0 });
  sessions.bind('a', { instance: 1n });
  sessions.bind('b', { instance: 2n });
  sessions.bind('a', { instance: 1n });
  sessions.bind('c', { instance: 3n });
  expect(['a', 'b', 'c'].map((session) => sessions.get(session)?.instance)).toEqual([1n, undefined, 3n]);
});

test('a million sessions stay within the limit', () => {
  const sessions = new Sessions({ ttlMs: 1_000_000, now: () => 0 });
  for (let i = 0; i < 1_000_000; i++) sessions.bind(`session ${i}`, { instance: 1n });
  expect(sessions.size).toBe(65_536);
});

function table(writer: bigint) {
  const told: SessionEvent[] = [];
  const sessions = new Sessions({ ttlMs: 4_000, now: () => 0, writer, version: 100n, tell: (event) => told.push(event) });
  return { sessions, told };
}

test('tables tell each other: a new binding is a new version, a use repeats the old one', () => {
  const [a, b] = [table(1n), table(2n)];
  a.sessions.bind('s', { instance: 7n, rank: 3 });
  a.sessions.bind('s', { instance: 7n, rank: 3 });
  const first = { session: 's', instance: 7n, rank: 3, sequence: 101n, writer: 1n };
  expect(a.told).toEqual([first, first]);
  for (const event of a.told.splice(0)) b.sessions.heard(event);
  expect(b.sessions.get('s')).toEqual({ instance: 7n, rank: 3 });
  // Also when another one uses it: whose binding it is stays as it was.
  b.sessions.bind('s', { instance: 7n, rank: 3 });
  expect(b.told.splice(0)).toEqual([first]);
  b.sessions.bind('s', { instance: 8n });
  expect(b.told).toEqual([{ session: 's', instance: 8n, sequence: 102n, writer: 2n }]);
  a.sessions.heard({ session: 's', instance: 8n, sequence: 102n, writer: 2n });
  a.sessions.heard({ session: 's', instance: 9n, sequence: 102n, writer: 1n });
  expect(a.sessions.get('s')).toEqual({ instance: 8n });
});

const captured = decodeJson(readFileSync(new URL('../../../../vectors/kv-router/session_affinity.json', import.meta.url), 'utf8')) as {
  messages: { payload_hex: string; payload: { session_id: string; worker_id: string; sequence: string; writer_id: string } }[];
};

test.each(captured.messages.map((message, at) => [at, message] as const))(
  'captured message %i is read and written to the byte',
  (_at, { payload_hex: hex, payload }) => {
    const event = decodeSessionEvent(Buffer.from(hex, 'hex'));
    const { session_id: session, worker_id, sequence, writer_id } = payload;
    expect(event).toEqual({ session, instance: BigInt(worker_id), sequence: BigInt(sequence), writer: BigInt(writer_id) });
    expect(Buffer.from(encodeSessionEvent(event)).toString('hex')).toBe(hex);
  },
);

test.each([
  [7, 'session_id'],
  [{ session_id: 's' }, 'worker_id'],
  [{ session_id: 's', worker_id: 1, dp_rank: 'x', sequence: 1, writer_id: 1 }, 'dp_rank'],
  [{ session_id: 's', worker_id: 1, sequence: -1, writer_id: 1 }, 'sequence'],
])('%j is no session event: %s', (value, member) => {
  expect(() => decodeSessionEvent(encodeMsgpack(value))).toThrow(expect.objectContaining({ code: 'backend_protocol', data: { member } }));
});
