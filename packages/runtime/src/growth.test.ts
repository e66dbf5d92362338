import { getEventListeners } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { mem, MemStore } from './discovery/mem/index.ts';
import { openSockets } from './planes/testing/stage.ts';
import { DistributedRuntime } from './runtime.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

// More would fill the ports of the loopback: each call home keeps one for a minute after it has closed.
const calls = 20_000;
const lanes = 64;

// The longer run, with every kind of call and outcome, is `npm run bench -- soak`.
test(`${calls} calls leave no heap, no socket, no timer and no listener behind`, { timeout: 120_000 }, async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  await worker.serve<number, number>('demo.backend.generate', async function* (n) {
    for (let i = 0; i < n; i++) yield i;
  });
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<number, number>('demo.backend.generate', { policy: 'least-loaded', affinity: { ttlMs: 100 } });
  await client.ready();
  const { signal } = new AbortController();
  const send = async (count: number): Promise<void> => {
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < count) {
        const turn = next++;
        // Every tenth stream is left in the middle, every third call belongs to a session of its own.
        for await (const item of client.generate(turn % 10 === 0 ? 3 : 1, { signal, ...(turn % 3 === 0 ? { session: `${turn}` } : {}) }))
          if (turn % 10 === 0 && item === 1) break;
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  };
  const held = async () => {
    await sleep(500);
    await send(1);
    collectGarbage();
    const timers = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    return { heap: process.memoryUsage().heapUsed, sockets: openSockets(), timers, listeners: getEventListeners(signal, 'abort').length };
  };
  await send(calls / 10);
  const before = await held();
  await send(calls);
  const after = await held();
  expect(after.listeners).toBe(0);
  expect(after.sockets).toBeLessThanOrEqual(before.sockets + 2);
  expect(after.timers).toBeLessThanOrEqual(before.timers + 1);
  // A hundred bytes a call would be two megabytes.
  expect(after.heap - before.heap).toBeLessThan(2 << 20);
});
