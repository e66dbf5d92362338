import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { notebook } from '../testing/notebook.ts';
import { Canary } from './canary.ts';
import { callLocally } from './local-call.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function canary(check: () => Promise<unknown>) {
  const said: boolean[] = [];
  const { lines, log } = notebook();
  const bird = new Canary({ check, waitMs: 1_000, endpoint: 'generate', log, onStatus: (ready) => said.push(ready) });
  return { bird, said, lines };
}

test('it checks after each wait without traffic, and tells how that went', async () => {
  const answers: (() => unknown)[] = [
    () => ({ item: 1 }),
    () => undefined,
    () => {
      throw new Error('broken');
    },
    () => ({ item: null }),
  ];
  const { bird, said, lines } = canary(async () => answers.shift()?.());
  using _bird = bird;
  for (let i = 0; i < 4; i++) {
    expect(said).toHaveLength(i);
    await vi.advanceTimersByTimeAsync(1_000);
  }
  expect(said).toEqual([true, false, false, true]);
  expect(lines).toEqual(['a health check failed', 'a health check failed']);
});

test('traffic is proof of life: it makes ready and puts the next check off', async () => {
  let checks = 0;
  const { bird, said } = canary(async () => void checks++);
  using _bird = bird;
  for (let i = 0; i < 10; i++) {
    await vi.advanceTimersByTimeAsync(900);
    bird.sawTraffic();
  }
  expect([checks, new Set(said)]).toEqual([0, new Set([true])]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect([checks, said.at(-1)]).toEqual([1, false]);
});

test('a check that takes longer than the wait is not doubled, and one that ends too late says nothing', async () => {
  let checks = 0;
  const answer = Promise.withResolvers<unknown>();
  const { bird, said } = canary(() => {
    checks++;
    return answer.promise;
  });
  await vi.advanceTimersByTimeAsync(5_000);
  expect(checks).toBe(1);
  bird[Symbol.dispose]();
  answer.resolve({ item: 1 });
  await vi.advanceTimersByTimeAsync(5_000);
  bird.sawTraffic();
  expect([checks, said]).toEqual([1, []]);
});

test('a call inside the process gets the first item, and the handler comes to its own end', async () => {
  vi.useRealTimers();
  const ended: unknown[] = [];
  const open = new AbortController().signal;
  const call = (request: unknown, limitMs?: number) =>
    callLocally(
      async function* (asked, { signal }) {
        try {
          if (asked === 'none') return;
          if (asked === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
          yield asked;
          await sleep(1);
          yield 'second';
        } finally {
          ended.push(signal.aborted ? signal.reason : 'end');
        }
      },
      request,
      { input: 'item', signal: open, ...(limitMs === undefined ? {} : { limitMs }) },
    );
  expect(await call('first')).toEqual({ item: 'first' });
  expect(await call('none')).toBeUndefined();
  await expect(call('hang', 20)).rejects.toMatchObject({ code: 'response_timeout' });
  await expect.poll(() => ended.length).toBe(3);
  expect(ended.slice(0, 2).toSorted()).toEqual(['end', 'end']);
});

test('a handler that takes a stream gets one of the single item', async () => {
  vi.useRealTimers();
  const signal = new AbortController().signal;
  const echo = async function* (items: unknown): AsyncGenerator<unknown> {
    for await (const item of items as AsyncIterable<unknown>) yield item;
  };
  expect(await callLocally(echo, 7, { input: 'stream', signal })).toEqual({ item: 7 });
});
