import { expect, test } from 'vitest';
import { Sessions } from './sessions.ts';

test('use begins the idle time anew, silence ends the binding, and what has expired takes no room', () => {
  let now = 0;
  const sessions = new Sessions({ ttlMs: 4_000, now: () => now });
  sessions.bind('kept', 1n);
  sessions.bind('left', 2n);
  for (now = 2_000; now <= 10_000; now += 2_000) {
    expect(sessions.get('kept')).toBe(1n);
    sessions.bind('kept', 1n);
  }
  expect([sessions.get('left'), sessions.size]).toEqual([undefined, 1]);
  now += 3_999;
  expect(sessions.get('kept')).toBeUndefined();
  expect(sessions.size).toBe(0);
});

test('the session that was idle longest makes room', () => {
  const sessions = new Sessions({ ttlMs: 1_000, limit: 2, now: () => 0 });
  sessions.bind('a', 1n);
  sessions.bind('b', 2n);
  sessions.bind('a', 1n);
  sessions.bind('c', 3n);
  expect(['a', 'b', 'c'].map((session) => sessions.get(session))).toEqual([1n, undefined, 3n]);
});

test('a million sessions stay within the limit', () => {
  const sessions = new Sessions({ ttlMs: 1_000_000, now: () => 0 });
  for (let i = 0; i < 1_000_000; i++) sessions.bind(`session ${i}`, 1n);
  expect(sessions.size).toBe(65_536);
});
