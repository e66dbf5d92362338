import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RouteReceipt } from '../select/receipt.ts';
import { ask, Cluster, prompt } from '../testing/cluster.ts';
import { routeHeader } from './route-header.ts';
import { RouteTeller } from './route-teller.ts';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster[Symbol.asyncDispose]());

describe('a receipt', () => {
  test('is told of every request, with the freshness of each candidate and what decided', async () => {
    const receipts: RouteReceipt[] = [];
    const [first, second] = [await cluster.worker(), await cluster.worker()];
    const router = await cluster.router({ workers: 2, onRoute: (receipt) => void receipts.push(receipt) });
    await ask(router, prompt(0), { instance: first.id });
    await vi.waitFor(async () => {
      const { candidates } = await router.explain({ model: 'm', tokenIds: prompt(0) });
      expect(candidates.map(({ events, overlap }) => [events?.state, events?.cursor, overlap.device]).toSorted()).toEqual([
        ['live', 0, 0],
        ['live', 1, 10],
      ]);
    });
    await ask(router, prompt(0));
    await ask(router, prompt(1_000));
    expect(receipts.map(({ why, winner }) => [why, winner.workerId])).toEqual([
      ['pinned', first.id],
      ['overlap', first.id],
      ['tie', expect.any(BigInt)],
    ]);
    const [, warm] = receipts;
    const events = warm?.candidates.find(({ workerId }) => workerId === first.id)?.events;
    expect(events).toMatchObject({ state: 'live', level: 'exact', cursor: 1, gaps: 0 });
    expect(events?.heardMsAgo).toBeLessThan(60_000);
    expect(warm?.candidates.find(({ workerId }) => workerId === second.id)?.events).toEqual({ state: 'live', level: 'exact', cursor: 0, gaps: 0 });
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(3);
  });

  test('names load when the best overlap lost to it, and says so of the loser', async () => {
    const [first, second] = [await cluster.worker(), await cluster.worker()];
    const router = await cluster.router({ workers: 2 });
    await ask(router, prompt(0, 8), { instance: first.id });
    await vi.waitFor(async () => expect((await router.best({ model: 'm', tokenIds: prompt(0, 8) })).overlapBlocks).toBe(2));
    using _busy = await router.reserve({ model: 'm', tokenIds: prompt(5_000, 400), routing: { backend_instance_id: first.id } });
    const receipt = await router.explain({ model: 'm', tokenIds: prompt(0, 8) });
    expect(receipt).toMatchObject({ why: 'load', winner: { workerId: second.id }, bestOverlap: { workerId: first.id, reason: 'load' } });
  });

  test('a listener that fails costs no request', async () => {
    await cluster.worker();
    const router = await cluster.router({
      onRoute: () => {
        throw new Error('nobody reads this');
      },
    });
    await expect(ask(router, prompt(0))).resolves.toHaveLength(1);
  });

  test('nothing is written down where nobody listens', async () => {
    const runtime = await cluster.connect();
    expect(new RouteTeller(runtime, {}).depth).toBeUndefined();
    expect(new RouteTeller(runtime, { brief: true }).depth).toBe('brief');
    expect(new RouteTeller(runtime, { onRoute: () => undefined }).depth).toBe('receipt');
  });

  test('a line tells it where its target is at debug', async () => {
    const told: unknown[] = [];
    const log = {
      debug: vi.fn((fields: unknown, message: string) => void told.push([message, fields])),
      info() {},
      warn() {},
      error() {},
      isLevelEnabled: () => true,
    };
    const worker = await cluster.worker();
    const router = await cluster.router({ log: { ...log, child: () => log } });
    await ask(router, prompt(0));
    expect(told.find((line) => (line as string[])[0] === 'a request is routed')).toEqual([
      'a request is routed',
      expect.objectContaining({
        worker_id: String(worker.id),
        dp_rank: 0,
        overlap_blocks: 0,
        prompt_blocks: 10,
        why: 'only',
        candidates: 1,
        events: expect.stringMatching(/live|lagging/),
      }),
    ]);
  });
});

test('the header is short and whole', () => {
  const brief = { workerId: 7n, dpRank: 1, overlap: 12.25, blocks: 16, cost: 3.87654, why: 'overlap', candidates: 4, ties: 1 } as const;
  expect(routeHeader(brief)).toBe('worker=7; rank=1; overlap=12.25/16; cost=3.877; why=overlap');
  expect(routeHeader({ ...brief, events: { state: 'gapped', level: 'approximate' } })).toBe(
    'worker=7; rank=1; overlap=12.25/16; cost=3.877; why=overlap; events=gapped',
  );
});
