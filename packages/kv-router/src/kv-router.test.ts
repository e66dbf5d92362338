import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, encodeModel, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { KvPublisher } from './kv-publisher.ts';
import { KvRouter } from './kv-router.ts';
import type { KvRouterOptions } from './options.ts';
import { decodeTokenRequest } from './wire/preprocessed-request.ts';

const path = 'demo.backend.generate';
const blockSize = 4;
let stack: AsyncDisposableStack;
let store: MemStore;
let hub: MemEvents;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  store = new MemStore();
  hub = new MemEvents();
});
afterEach(() => stack.disposeAsync());

const connect = async (): Promise<DistributedRuntime> =>
  stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));

interface Worker {
  readonly id: bigint;
  readonly runtime: DistributedRuntime;
  readonly publisher: KvPublisher;
  /** Requests in the order in which they came. */
  readonly got: { tokenIds: readonly number[]; routing: unknown }[];
}

/** A worker that caches every prompt that it reads, and answers with as many tokens as asked for. */
async function worker(options: { delayMs?: number; config?: Record<string, unknown> } = {}): Promise<Worker> {
  const runtime = await connect();
  const got: Worker['got'] = [];
  const served = await runtime.serve(path, async function* (request: unknown) {
    const { tokenIds, routing, stop } = decodeTokenRequest(request);
    got.push({ tokenIds, routing });
    const count = Math.floor(tokenIds.length / blockSize);
    const hashes = Array.from({ length: count }, (_, index) =>
      BigInt(tokenIds.slice(0, (index + 1) * blockSize).reduce((sum, token) => (sum * 31 + token) % 1e9, 7)),
    );
    publisher.stored({ tokenIds, hashes });
    for (let token = 0; token < (stop?.maxTokens ?? 1); token++) {
      await sleep(options.delayMs ?? 0);
      yield { token_ids: [token] };
    }
  });
  const { id, namespace, component, endpoint } = served.instance;
  await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { display_name: 'm', runtime_config: options.config ?? {} } }));
  const publisher = await KvPublisher.open(runtime, path, { blockSize });
  return { id, runtime, publisher, got };
}

const open = async (options: Partial<KvRouterOptions> = {}, workers = 2): Promise<KvRouter> => {
  const router = stack.use(await KvRouter.open(await connect(), path, { blockSize, ...options }));
  await router.ready({ min: workers });
  return router;
};

const prompt = (from: number, length = 40): number[] => Array.from({ length }, (_, index) => from + index);
const ask = (router: KvRouter, tokenIds: readonly number[], maxTokens = 1) => collect(router.generate({ model: 'm', tokenIds, stop: { maxTokens } }));

describe('placement', () => {
  test('a prompt goes back to the worker that has read it, whichever that was', async () => {
    const workers = await Promise.all(Array.from({ length: 3 }, () => worker()));
    const router = await open({}, 3);
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < 9; at++) await ask(router, prompt(at * 1_000));
      await sleep(20);
    }
    const byPrompt = new Map<number, Set<bigint>>();
    for (const { id, got } of workers)
      for (const { tokenIds } of got) byPrompt.set(tokenIds[0] as number, (byPrompt.get(tokenIds[0] as number) ?? new Set()).add(id));
    expect([...byPrompt.values()].map((ids) => ids.size)).toEqual(Array.from({ length: 9 }, () => 1));
    expect(workers.flatMap(({ got }) => got).every(({ routing }) => (routing as { dp_rank: number }).dp_rank === 0)).toBe(true);
  });

  test('a burst spreads before any event has come', async () => {
    const workers = await Promise.all(Array.from({ length: 4 }, () => worker({ delayMs: 50 })));
    const router = await open({}, 4);
    await Promise.all(Array.from({ length: 16 }, (_, at) => ask(router, prompt(at * 100))));
    expect(workers.map(({ got }) => got.length)).toEqual([4, 4, 4, 4]);
  });

  test('without events, its own decisions tell where a prompt is', async () => {
    const [first, second] = [await worker(), await worker()];
    await Promise.all([first.publisher[Symbol.asyncDispose](), second.publisher[Symbol.asyncDispose]()]);
    const router = await open({ index: 'approximate' });
    const before = await router.best({ model: 'm', tokenIds: prompt(5) });
    expect(before.overlapBlocks).toBe(0);
    await router.reserve({ model: 'm', tokenIds: prompt(5) }).then((reservation) => reservation[Symbol.dispose]());
    expect((await router.best({ model: 'm', tokenIds: prompt(5) })).overlapBlocks).toBe(10);
  });

  test('a pinned request goes to its worker and counts there', async () => {
    const [first, second] = [await worker({ delayMs: 200 }), await worker()];
    const router = await open();
    const running = collect(router.generate({ model: 'm', tokenIds: prompt(0) }, { instance: first.id }));
    await vi.waitFor(() => expect(first.got).toHaveLength(1));
    const loads = await router.loads({ model: 'm', tokenIds: [] });
    expect(loads.find(({ workerId }) => workerId === first.id)).toMatchObject({
      activeRequests: 1,
      potentialPrefillTokens: 40,
      potentialDecodeBlocks: 10,
    });
    expect(loads.find(({ workerId }) => workerId === second.id)).toMatchObject({ activeRequests: 0 });
    await running;
    expect((await router.loads({ model: 'm', tokenIds: [] })).map(({ activeRequests }) => activeRequests)).toEqual([0, 0]);
  });
});

describe('bookkeeping', () => {
  test('a reservation counts until its block ends, and a read prompt counts its blocks alone', async () => {
    await worker();
    const router = await open({}, 1);
    const load = async () => (await router.loads({ model: 'm', tokenIds: [] }))[0];
    {
      using reservation = await router.reserve({ model: 'm', tokenIds: prompt(0) });
      expect(await load()).toMatchObject({ activeRequests: 1, potentialPrefillTokens: 40, potentialDecodeBlocks: 10 });
      reservation.prefillDone();
      expect(await load()).toMatchObject({ activeRequests: 1, potentialPrefillTokens: 0, potentialDecodeBlocks: 10 });
    }
    expect(await load()).toMatchObject({ activeRequests: 0, potentialPrefillTokens: 0, potentialDecodeBlocks: 0 });
  });

  test.each(['done', 'left', 'aborted'] as const)('a stream that is %s counts no more', async (how) => {
    await worker({ delayMs: 5 });
    const router = await open({}, 1);
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      for await (const _ of router.generate(
        { model: 'm', tokenIds: prompt(0), stop: { maxTokens: how === 'done' ? 2 : 1_000 } },
        { signal: abort.signal },
      )) {
        if (how === 'left') break;
        if (how === 'aborted') abort.abort();
      }
    };
    if (how === 'aborted') await expect(read()).rejects.toMatchObject({ code: 'cancelled' });
    else await read();
    expect((await router.loads({ model: 'm', tokenIds: [] }))[0]).toMatchObject({ activeRequests: 0, potentialDecodeBlocks: 0 });
  });

  test('a worker that leaves takes its blocks and loads with it, and one that comes is used', async () => {
    const first = await worker();
    const router = await open({}, 1);
    await ask(router, prompt(0));
    await vi.waitFor(async () => expect((await router.best({ model: 'm', tokenIds: prompt(0) })).overlapBlocks).toBe(10));
    await first.runtime[Symbol.asyncDispose]();
    await expect.poll(() => router.instances.length).toBe(0);
    await expect(ask(router, prompt(0))).rejects.toMatchObject({ code: 'unavailable' });
    const second = await worker();
    await router.ready();
    expect(await router.best({ model: 'm', tokenIds: prompt(0) })).toEqual({ instance: second.id, dpRank: 0, overlapBlocks: 0 });
  });

  test('data-parallel ranks are chosen one by one', async () => {
    const { got } = await worker({ delayMs: 30, config: { data_parallel_size: 4 } });
    const router = await open({}, 1);
    await Promise.all(Array.from({ length: 8 }, (_, at) => ask(router, prompt(at * 100))));
    const ranks = got.map(({ routing }) => (routing as { dp_rank: number }).dp_rank).toSorted();
    expect(ranks).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
  });

  test('a queue keeps requests back until the worker has read what it has', async () => {
    const { got } = await worker({ delayMs: 200, config: { max_num_batched_tokens: 40 } });
    const router = await open({ queue: { threshold: 0.5 } }, 1);
    const running = Promise.all(Array.from({ length: 3 }, (_, at) => ask(router, prompt(at * 100), 3)));
    await vi.waitFor(() => expect(got).toHaveLength(1));
    await sleep(20);
    expect(got).toHaveLength(1);
    await running;
    expect(got).toHaveLength(3);
  });
});

describe('what is said', () => {
  test('a receipt tells every candidate and the winner', async () => {
    const [first, second] = [await worker(), await worker()];
    const router = await open();
    await collect(router.generate({ model: 'm', tokenIds: prompt(0), stop: { maxTokens: 1 } }, { instance: first.id }));
    await vi.waitFor(async () => expect((await router.best({ model: 'm', tokenIds: prompt(0) })).overlapBlocks).toBe(10));
    const receipt = await router.explain({ model: 'm', tokenIds: prompt(0) });
    expect(receipt.winner).toMatchObject({ workerId: first.id, dpRank: 0 });
    expect(
      receipt.candidates
        .toSorted((a, b) => b.overlap.device - a.overlap.device)
        .map(({ workerId, overlap, cost }) => [workerId, overlap.device, cost]),
    ).toEqual([
      [first.id, 10, 10],
      [second.id, 0, 20],
    ]);
  });

  test.each([
    [{ blockSize: 0 }, 'kv_block_size cannot be 0'],
    [{ temperature: -1 }, 'router_temperature must be finite and non-negative'],
    [{ overlapCredit: Number.NaN }, 'overlap_score_credit must be a finite, non-negative number'],
  ])('options %o are refused: %s', async (options, message) => {
    await expect(connect().then((runtime) => KvRouter.open(runtime, path, { blockSize, ...options }))).rejects.toMatchObject({
      code: 'invalid_argument',
      message,
    });
  });
});
