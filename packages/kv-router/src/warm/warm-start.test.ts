import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { collect, parseEndpointPath } from '@dynamo/runtime/internal';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { KvRouter } from '../kv-router.ts';
import type { KvRouterOptions } from '../options.ts';
import { KvRouting } from '../routing/kv-routing.ts';
import { ask, type CachingWorker, Cluster, prompt } from '../testing/cluster.ts';
import { normalDump } from '../testing/normal-dump.ts';

let cluster: Cluster;
let stack: AsyncDisposableStack;
let folder: string;
beforeEach(async () => {
  cluster = new Cluster();
  stack = new AsyncDisposableStack();
  folder = await mkdtemp(join(tmpdir(), 'router-state-'));
});
afterEach(async () => {
  await stack.disposeAsync();
  await cluster[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

const routing = async (options: Partial<KvRouterOptions>): Promise<KvRouting> => {
  const opened = await KvRouting.open(await cluster.connect(), parseEndpointPath(cluster.path), { blockSize: cluster.blockSize, ...options });
  stack.use(opened);
  return opened;
};

const live = (opened: KvRouting, publishers: number): Promise<void> =>
  vi.waitFor(() => expect(opened.sources().map(({ state }) => state)).toEqual(Array.from({ length: publishers }, () => 'live')), { timeout: 5_000 });

/** How each publisher was recovered: by what its worker answered. */
const recovered = (opened: KvRouting) => opened.sources().map(({ recoveries }) => recoveries);

describe('from a peer', () => {
  test('a second router knows everything at once, and asks the workers only what came after', async () => {
    const workers = [await cluster.worker(), await cluster.worker()];
    const first = await cluster.router({ workers: 2, warmStart: { peers: true } });
    for (let at = 0; at < 6; at++) await ask(first, prompt(at * 1_000));
    await vi.waitFor(async () => expect((await first.best({ model: 'm', tokenIds: prompt(5_000) })).overlapBlocks).toBe(10));
    const second = await routing({ warmStart: { peers: true } });
    await live(second, 2);
    expect(recovered(second).map(({ dump }) => dump)).toEqual([0, 0]);
    const cold = await routing({});
    await live(cold, 2);
    expect(recovered(cold).map(({ dump }) => dump)).toEqual([1, 1]);
    expect(normalDump(second.index.dump())).toEqual(normalDump(cold.index.dump()));
    expect(normalDump(cold.index.dump())).toHaveLength(60);
    expect(workers).toHaveLength(2);
  });

  test('decisions are taken over where there are no events, and loads where routers tell each other', async () => {
    const worker = await cluster.worker({ publishes: false, delayMs: 300 });
    const options = { index: 'approximate', replicaSync: true, warmStart: { peers: true } } as const;
    const first = await cluster.router(options);
    const running = ask(first, prompt(0));
    await vi.waitFor(() => expect(worker.got).toHaveLength(1));
    const second = await cluster.router(options);
    expect((await second.best({ model: 'm', tokenIds: prompt(0) })).overlapBlocks).toBe(10);
    const loads = async () => (await second.loads({ model: 'm', tokenIds: [] }))[0];
    expect(await loads()).toMatchObject({ activeRequests: 1, potentialDecodeBlocks: 10, potentialPrefillTokens: 40 });
    await running;
    await vi.waitFor(async () => expect(await loads()).toMatchObject({ activeRequests: 0, potentialDecodeBlocks: 0 }));
  });

  test('sessions stay with their workers, from a peer and from a snapshot', async () => {
    await Promise.all(Array.from({ length: 4 }, () => cluster.worker()));
    const options = { workers: 4, index: 'none', affinity: { ttlMs: 60_000 }, warmStart: { peers: true, folder } } as const;
    const first = await cluster.router(options);
    const askAll = async (router: KvRouter): Promise<void> => {
      for (let at = 0; at < 8; at++) {
        const headers = { 'x-dynamo-session-id': `session ${at}` };
        await collect(router.generate({ model: 'm', tokenIds: prompt(at), stop: { maxTokens: 1 } }, { headers }));
      }
    };
    await askAll(first);
    const before = cluster.got();
    const second = await cluster.router(options);
    await askAll(second);
    expect(cluster.got()).toEqual(before.map((count) => count * 2));
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    const third = await cluster.router({ ...options, warmStart: { folder } });
    await askAll(third);
    expect(cluster.got()).toEqual(before.map((count) => count * 3));
  });

  test('a restart under load keeps the hit rate', async () => {
    await Promise.all(Array.from({ length: 4 }, () => cluster.worker({ delayMs: 1, publishes: false })));
    const options = { workers: 4, index: 'approximate', warmStart: { folder } } as const;
    const first = await cluster.router(options);
    const prompts = Array.from({ length: 24 }, (_, at) => prompt(at * 1_000));
    await Promise.all(prompts.map((tokenIds) => ask(first, tokenIds)));
    await first[Symbol.asyncDispose]();
    const second = await cluster.router(options);
    const hits: number[] = [];
    await Promise.all(
      prompts.map(async (tokenIds) => {
        hits.push((await second.best({ model: 'm', tokenIds })).overlapBlocks);
        await ask(second, tokenIds);
      }),
    );
    expect(hits.reduce((sum, blocks) => sum + blocks, 0)).toBe(24 * 10);
  });
});

describe('from a snapshot', () => {
  const warm = { warmStart: { peers: false } };

  async function leave(worker: CachingWorker): Promise<string> {
    const first = await routing({ warmStart: { folder } });
    worker.publisher?.stored({ tokenIds: prompt(0), hashes: Array.from({ length: 10 }, (_, at) => BigInt(at + 1)) });
    await vi.waitFor(() => expect(first.index.counts().blocks).toBe(10));
    await first[Symbol.asyncDispose]();
    const [name] = await readdir(folder);
    return join(folder, name as string);
  }

  test('what happened since is asked of the worker', async () => {
    const worker = await cluster.worker();
    await leave(worker);
    worker.publisher?.removed([10n]);
    worker.publisher?.stored({ tokenIds: prompt(900, 4), hashes: [90n] });
    const second = await routing({ warmStart: { folder } });
    await live(second, 1);
    expect(recovered(second)).toEqual([{ dump: 0, events: 1, nothing: 0, failed: 0 }]);
    expect(second.index.counts().blocks).toBe(10);
  });

  test('one that is too old is replaced by what the worker holds', async () => {
    const worker = await cluster.worker();
    await leave(worker);
    for (let at = 0; at < 1_100; at++) worker.publisher?.stored({ tokenIds: prompt(50_000 + at * 4, 4), hashes: [BigInt(1_000 + at)] });
    worker.publisher?.removed([10n]);
    const second = await routing({ warmStart: { folder } });
    await live(second, 1);
    expect(recovered(second)[0]).toMatchObject({ dump: 1 });
    expect(second.index.counts().blocks).toBe(1_109);
  });

  test('of workers that have begun anew, or are gone, nothing is taken', async () => {
    const worker = await cluster.worker();
    await leave(worker);
    await worker.publisher?.[Symbol.asyncDispose]();
    const other = await cluster.worker();
    const second = await routing({ warmStart: { folder } });
    await live(second, 1);
    expect([second.index.counts().blocks, second.sources()[0]?.workerId]).toEqual([0, other.id]);
  });

  test.each([
    ['cut', (bytes: Buffer) => bytes.subarray(0, bytes.length - 9)],
    ['cut to nothing', () => Buffer.alloc(0)],
    ['changed', (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 150), Buffer.from([(bytes[150] as number) ^ 1]), bytes.subarray(151)])],
    ['something else', () => Buffer.from('{"not":"a snapshot"}')],
    ['of a later version', (bytes: Buffer) => Buffer.from(bytes.toString('latin1').replace('version\x01', 'version\x02'), 'latin1')],
  ])('one that is %s is refused, and the router begins as if there were none', async (_, spoil) => {
    const worker = await cluster.worker();
    const path = await leave(worker);
    await writeFile(path, spoil(await readFile(path)));
    const second = await routing({ warmStart: { folder } });
    await live(second, 1);
    expect(recovered(second)).toEqual([{ dump: 1, events: 0, nothing: 0, failed: 0 }]);
    expect(second.index.counts().blocks).toBe(10);
  });

  test('one of other blocks is refused', async () => {
    const worker = await cluster.worker();
    await leave(worker);
    const second = await routing({ blockSize: 8, warmStart: { folder } });
    await live(second, 1);
    expect(recovered(second)[0]).toMatchObject({ dump: 1 });
  });

  test('no folder and no peers is a cold start', async () => {
    await cluster.worker();
    await live(await routing(warm), 1);
  });
});

test('after a warm start and quiet, the index is what the workers hold', { timeout: 60_000 }, async () => {
  type Change = readonly [worker: number, kind: 'store' | 'remove' | 'clear', family: number, depth: number];
  const change = fc.tuple(
    fc.nat(2),
    fc.oneof(
      { weight: 6, arbitrary: fc.constant('store' as const) },
      { weight: 3, arbitrary: fc.constant('remove' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    ),
    fc.nat(3),
    fc.integer({ min: 1, max: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { maxLength: 40 }), fc.array(change, { maxLength: 30 }), fc.boolean(), async (before, after, byPeer) => {
      await using own = new Cluster();
      const workers = [await own.worker(), await own.worker(), await own.worker()];
      const apply = (changes: readonly Change[]): void => {
        for (const [at, kind, family, depth] of changes) {
          const publisher = workers[at]?.publisher;
          const hash = (block: number): bigint => BigInt(family * 100 + block + 1);
          if (kind === 'store')
            publisher?.stored({ tokenIds: prompt(family * 1_000, depth * 4), hashes: Array.from({ length: depth }, (_, block) => hash(block)) });
          else if (kind === 'remove') publisher?.removed([hash(depth - 1)]);
          else publisher?.cleared();
        }
      };
      const name = parseEndpointPath(own.path);
      const open = async (options: Partial<KvRouterOptions>): Promise<KvRouting> =>
        KvRouting.open(await own.connect(), name, { blockSize: own.blockSize, ...options });
      const home = await mkdtemp(join(folder, 'run-'));
      const warmStart = byPeer ? { peers: true } : { folder: home };
      await using first = await open({ warmStart });
      await live(first, 3);
      apply(before);
      await vi.waitFor(() => expect(first.sources().every(({ state }) => state === 'live')).toBe(true));
      if (!byPeer) await first[Symbol.asyncDispose]();
      await using second = await open({ warmStart });
      apply(after);
      await live(second, 3);
      await using cold = await open({});
      await live(cold, 3);
      await vi.waitFor(() => expect(normalDump(second.index.dump())).toEqual(normalDump(cold.index.dump())));
    }),
    { numRuns: 20 },
  );
});
