import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import type { Handler } from './endpoint/handler.ts';
import type { ServeOptions } from './endpoint/serve.ts';
import { DynamoError } from './error.ts';
import { openSockets } from './planes/testing/stage.ts';
import { DistributedRuntime } from './runtime.ts';

let socketsBefore = 0;
beforeEach(() => {
  vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
  socketsBefore = openSockets();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await expect.poll(openSockets).toBeLessThanOrEqual(socketsBefore);
});

/** Two runtimes: one serves `demo.backend.talk`, one calls it. */
async function pair<In, Res>(handler: Handler<AsyncIterable<In>, Res>, options: ServeOptions & { drainMs?: number } = { input: 'stream' }) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const { drainMs = 2_000, ...serving } = options;
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), drainMs }));
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const served = stack.use(await worker.serve('demo.backend.talk', handler, serving));
  const client = await caller.client<AsyncIterable<In>, Res>('demo.backend.talk');
  await client.ready();
  return { worker, caller, served, client, store, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const echo: Handler<AsyncIterable<number>, { got: number } | { end: true }> = async function* (numbers) {
  for await (const number of numbers) yield { got: number };
  yield { end: true };
};

/** Counts up to a limit and tells how it was left. */
function source(limit: number, delayMs?: number) {
  const state = { pulled: 0, left: false };
  async function* run(): AsyncGenerator<number> {
    try {
      for (; state.pulled < limit; state.pulled++) {
        if (delayMs !== undefined) await sleep(delayMs);
        yield state.pulled;
      }
    } finally {
      state.left = true;
    }
  }
  return { state, items: run() };
}

test('both ways done: each item is answered, and the answer goes on when the input has ended', async () => {
  await using run = await pair(echo);
  const { items, state } = source(100);
  const all = await collect(run.client.generate(items));
  expect(all).toEqual([...Array.from({ length: 100 }, (_, got) => ({ got })), { end: true }]);
  expect(state.left).toBe(true);
  expect(await collect(run.client.generate(source(0).items))).toEqual([{ end: true }]);
});

test('a conversation: the next item is made from the last answer', async () => {
  await using run = await pair<number, number>(async function* (numbers) {
    for await (const number of numbers) yield number * 2;
  });
  const answers: number[] = [];
  const turns = [Promise.withResolvers<number>()];
  async function* ask(): AsyncGenerator<number> {
    yield 1;
    while (answers.length < 10) yield await turns.at(-1)!.promise;
  }
  for await (const answer of run.client.generate(ask())) {
    answers.push(answer);
    const turn = turns.at(-1)!;
    turns.push(Promise.withResolvers<number>());
    turn.resolve(answer);
  }
  expect(answers).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048]);
});

test('a request of one item reaches the same endpoint as a stream of that one', async () => {
  await using run = await pair(echo);
  const single = await run.caller.client<number, unknown>('demo.backend.talk');
  await single.ready();
  expect(await collect(single.generate(7))).toEqual([{ got: 7 }, { end: true }]);
});

test('an endpoint of one item refuses a stream as an argument that is wrong, and is not left alone for it', async () => {
  await using run = await pair(echo, {});
  for (let i = 0; i < 2; i++) {
    const { items, state } = source(1_000);
    await expect(collect(run.client.generate(items))).rejects.toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining("input: 'stream'"),
    });
    expect(state.pulled).toBe(0);
  }
});

test('a handler that throws ends the answer with its error and leaves the source', async () => {
  await using run = await pair<number, number>(async function* (numbers) {
    for await (const number of numbers) {
      yield number;
      if (number === 3) throw new DynamoError('engine_shutdown', 'gone', { origin: 'backend' });
    }
  });
  const { items, state } = source(Infinity, 1);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of run.client.generate(items)) seen.push(item);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'engine_shutdown', message: 'gone' });
  expect(seen).toEqual([0, 1, 2, 3]);
  await expect.poll(() => state.left).toBe(true);
});

test('a source that throws kills the request, ends the answer with its own error, and blames nobody', async () => {
  const ended = Promise.withResolvers<unknown>();
  const input: unknown[] = [];
  await using run = await pair<number, number>(async function* (numbers, { signal }) {
    try {
      for await (const number of numbers) yield number;
    } catch (error) {
      input.push(error);
      throw error;
    } finally {
      ended.resolve(signal.reason);
    }
  });
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    await sleep(20);
    throw new DynamoError('disconnected', 'my own upstream went away');
  }
  await expect(collect(run.client.generate(broken()))).rejects.toMatchObject({
    code: 'disconnected',
    message: 'my own upstream went away',
    data: { input: true },
  });
  expect(await ended.promise).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
  expect(input).toEqual([expect.objectContaining({ code: 'cancelled' })]);
  expect(await collect(run.client.generate(source(1).items))).toEqual([0]);
});

test('an item that can not be written is told as the argument that it is', async () => {
  await using run = await pair<unknown, unknown>(echo as never);
  async function* odd(): AsyncGenerator<unknown> {
    yield 1;
    yield () => {};
  }
  await expect(collect(run.client.generate(odd()))).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('an answer that is left kills the handler and leaves the source', async () => {
  const ended = Promise.withResolvers<unknown>();
  await using run = await pair<number, number>(async function* (numbers, { signal }) {
    try {
      for await (const number of numbers) yield number;
    } finally {
      ended.resolve(signal.reason);
    }
  });
  const { items, state } = source(Infinity, 1);
  for await (const item of run.client.generate(items)) if (item === 5) break;
  expect(await ended.promise).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
  await expect.poll(() => state.left).toBe(true);
});

test('a handler that leaves its input goes on answering, and the source is left', async () => {
  await using run = await pair<number, string>(async function* (numbers) {
    for await (const number of numbers) if (number === 3) break;
    for (let i = 0; i < 3; i++) {
      await sleep(20);
      yield `after ${i}`;
    }
  });
  const { items, state } = source(Infinity, 1);
  const answers: string[] = [];
  for await (const answer of run.client.generate(items)) {
    answers.push(answer);
    if (answer === 'after 1') expect(state.left).toBe(true);
  }
  expect(answers).toEqual(['after 0', 'after 1', 'after 2']);
});

test('a handler that ends while the source waits does not wait for it', async () => {
  await using run = await pair<number, string>(async function* (numbers) {
    for await (const _ of numbers) break;
    yield 'enough';
  });
  async function* stuck(): AsyncGenerator<number> {
    yield 1;
    await new Promise(() => {});
  }
  expect(await collect(run.client.generate(stuck()))).toEqual(['enough']);
});

for (const kind of ['stop', 'kill'] as const) {
  test(`an aborted signal of kind ${kind} reaches the handler and its input`, async () => {
    const ended = Promise.withResolvers<unknown>();
    const input = Promise.withResolvers<unknown>();
    await using run = await pair<number, number>(async function* (numbers, { signal }) {
      signal.addEventListener('abort', () => ended.resolve(signal.reason), { once: true });
      try {
        for await (const number of numbers) yield number;
      } catch (error) {
        input.resolve(error);
        throw error;
      }
    });
    const abort = new AbortController();
    async function* some(): AsyncGenerator<number> {
      yield 1;
      await new Promise(() => {});
    }
    const reading = (async () => {
      for await (const _ of run.client.generate(some(), { signal: abort.signal }))
        abort.abort(new DynamoError('cancelled', 'enough', { data: { kind } }));
    })();
    await expect(reading).rejects.toMatchObject({ code: 'cancelled', message: 'enough' });
    expect(await ended.promise).toMatchObject({ code: 'cancelled', data: { kind } });
    expect(await input.promise).toMatchObject({ code: 'cancelled', data: { kind } });
  });
}

test('a handler that reads slowly holds the source back, and a slow reader of the answer holds the handler back', async () => {
  const resume = Promise.withResolvers<void>();
  let taken = 0;
  await using run = await pair<string, string>(async function* (texts) {
    for await (const text of texts) {
      if (taken++ === 0) await resume.promise;
      yield text;
    }
  });
  let pulled = 0;
  async function* texts(): AsyncGenerator<string> {
    for (; pulled < 3_000; pulled++) yield `${pulled}`.padEnd(10_000, '.');
  }
  const stream = run.client.generate(texts())[Symbol.asyncIterator]();
  const first = stream.next();
  await expect.poll(() => pulled).toBeGreaterThan(0);
  const settled = async (read: () => number): Promise<number> => {
    for (let before = -1; before !== read(); await sleep(200)) before = read();
    return read();
  };
  expect(await settled(() => pulled)).toBeLessThan(2_500);
  resume.resolve();
  expect((await first).value).toHaveLength(10_000);
  expect(await settled(() => taken)).toBeLessThan(2_900);
  const rest: string[] = [];
  for (let step = await stream.next(); step.done !== true; step = await stream.next()) rest.push(step.value);
  expect(rest).toHaveLength(2_999);
  expect(rest.at(-1)).toMatch(/^2999\./);
});

test('a worker that drains lets a conversation go on, and kills it when its time is over', async () => {
  await using run = await pair(echo, { input: 'stream', drainMs: 150 });
  const { items, state } = source(Infinity, 5);
  const reading = collect(run.client.generate(items));
  await expect.poll(() => state.pulled).toBeGreaterThan(5);
  await Promise.all([expect(reading).rejects.toMatchObject({ code: 'cancelled' }), run.worker[Symbol.asyncDispose]()]);
  await expect.poll(() => state.left).toBe(true);
});
