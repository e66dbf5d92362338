import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from '../async/pipe.ts';
import { mem, MemStore } from '../discovery/mem/index.ts';
import { DistributedRuntime } from '../runtime.ts';
import { encodeItem, finalFrame } from '../wire/annotated.ts';
import { sentinel } from '../wire/control.ts';
import { encodeTwoPart } from '../wire/two-part.ts';
import { bareWorker, type BareRequest, started } from './testing/bare-worker.ts';
import type { CallOptions } from './types.ts';

beforeEach(() => void vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1'));
afterEach(() => void vi.unstubAllEnvs());

const item = (value: unknown): Uint8Array => encodeTwoPart({ body: encodeItem(value, 'msgpack') });
const ending = Buffer.concat([encodeTwoPart({ body: finalFrame('msgpack') }), encodeTwoPart({ header: sentinel })]);
const patient = { connectMs: 20_000, ackMs: 20_000, callHomeMs: 20_000, prologueMs: 20_000 };

async function open(does: (request: BareRequest) => unknown, timeouts: Partial<typeof patient> = {}) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const discovery = stack.use(mem(store));
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem(store), timeouts: { ...patient, ...timeouts } }));
  stack.use(await bareWorker(discovery, { id: 1n, onRequest: does }));
  const client = await runtime.client<null, unknown>('demo.backend.generate');
  await client.ready();
  return { client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
const answer =
  (...frames: Uint8Array[]) =>
  ({ ack, home }: BareRequest): void => {
    ack();
    void home(...frames);
  };

test.each([
  ['ack', () => {}, { ackMs: 120 }, {}, 'connection_timeout', 120],
  ['callHome', ({ ack }: BareRequest) => ack(), { callHomeMs: 120 }, {}, 'connection_timeout', 120],
  ['prologue', answer(), { prologueMs: 120 }, {}, 'connection_timeout', 120],
  ['call', answer(started, item(1)), {}, { timeoutMs: 120, idleMs: 20_000 }, 'deadline_exceeded', 120],
  ['firstItem', answer(started), {}, { firstItemMs: 120 }, 'response_timeout', 120],
  ['firstItem', answer(started), {}, { firstItemMs: 120, idleMs: 20_000 }, 'response_timeout', 120],
  ['firstItem', answer(started), {}, { idleMs: 120 }, 'response_timeout', 120],
  ['idle', answer(started, item(1)), {}, { idleMs: 120 }, 'response_timeout', 120],
  ['idle', answer(started, item(1)), {}, { firstItemMs: 20_000, idleMs: 120 }, 'response_timeout', 120],
] as const)('the limit %s has an error of its own', async (limit, does, timeouts, call, code, ms) => {
  await using at = await open(does, timeouts);
  await expect(collect(at.client.generate(null, call as CallOptions))).rejects.toMatchObject({ code, data: { limit, ms } });
});

test('a limit on the first item alone lets later ones take their time', async () => {
  await using at = await open(async ({ ack, home }) => {
    ack();
    const socket = await home(started, item(1));
    await sleep(300);
    socket.write(Buffer.concat([item(2), ending]));
  });
  expect(await collect(at.client.generate(null, { firstItemMs: 150 }))).toEqual([1, 2]);
});

test('items that come one by one within the limit pass, however many there are and however long the reader takes for each', async () => {
  await using at = await open(async ({ ack, home }) => {
    ack();
    const socket = await home(started);
    for (let i = 0; i < 8; i++) {
      await sleep(40);
      socket.write(item(i));
    }
    socket.write(ending);
  });
  const seen: unknown[] = [];
  for await (const value of at.client.generate(null, { idleMs: 160 })) {
    seen.push(value);
    if (value === 3) await sleep(400);
  }
  expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('an item that waits while the event loop is busy is in time', async () => {
  await using at = await open(({ ack, home }) => {
    ack();
    void home(started, item(1)).then((socket) =>
      setTimeout(() => {
        socket.write(Buffer.concat([item(2), ending]));
        for (const until = performance.now() + 300; performance.now() < until;);
      }, 20),
    );
  });
  expect(await collect(at.client.generate(null, { idleMs: 100 }))).toEqual([1, 2]);
});

test('limits that have passed leave no timer behind', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  await using at = await open(answer(started, item(1), ending));
  await collect(at.client.generate(null));
  const before = timers();
  for (let i = 0; i < 50; i++) await collect(at.client.generate(null, { timeoutMs: 60_000, idleMs: 60_000, firstItemMs: 60_000 }));
  expect(timers()).toBeLessThanOrEqual(before);
});
