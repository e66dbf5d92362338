import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KvRouter, type KvRouterOptions, type RouteReceipt } from '@dynamo/kv-router';
import { KvRouting } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, parseEndpointPath } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMocker } from './mocker.ts';
import { findPython, scene } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const path = 'dynamo.backend.generate';
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

describe.skipIf('missing' in found)('real workers whose caches are small', () => {
  const stack = new AsyncDisposableStack();
  const receipts: RouteReceipt[] = [];
  let router: KvRouter;
  let folder: string;
  const open = async (options: Partial<KvRouterOptions>): Promise<KvRouter> => {
    const opened = stack.use(await KvRouter.open(stack.use(await DistributedRuntime.connect()), path, { blockSize: 16, ...options }));
    await opened.ready({ min: 2 });
    return opened;
  };
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    folder = await mkdtemp(join(tmpdir(), 'kv-trust-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const args = ['--model-path', tiny, '--model-name', 'm', '--num-workers', '2', '--speedup-ratio', '50', '--block-size', '16'];
    stack.use(startMocker(python, { args: [...args, '--num-gpu-blocks-override', '400'], env }));
    router = await open({ onRoute: (receipt) => void receipts.push(receipt), warmStart: { folder } });
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  const states = async (of: KvRouter) => {
    const { candidates } = await of.explain({ model: 'm', tokenIds: [1, 2, 3] });
    return candidates.map(({ events }) => events?.state);
  };
  const ask = (family: number, own: number) => {
    const tokenIds = Array.from({ length: 320 }, (_, at) => (at < 160 ? family * 1_000 + at : 50_000 + own * 400 + at));
    return collect(router.generate({ model: 'm', tokenIds, stop: { maxTokens: 4, ignoreEos: true }, eosTokenIds: [] }));
  };

  test('are believed throughout: what their engines say agrees with their events, evictions and bursts included', { timeout: 120_000 }, async () => {
    await expect.poll(() => states(router), { timeout: 30_000 }).toEqual(['live', 'live']);
    for (let round = 0; round < 8; round++) await Promise.all(Array.from({ length: 24 }, (_, at) => ask(at % 6, round * 24 + at)));
    expect(receipts).toHaveLength(192);
    const seen = new Set(receipts.flatMap(({ candidates }) => candidates.map(({ events }) => events?.level)));
    expect([...seen]).toEqual(['exact']);
    expect(new Set(receipts.map(({ why }) => why))).toContain('overlap');
    expect(await states(router)).toEqual(['live', 'live']);
  });

  test('tell a router that begins with a snapshot only what came after it', { timeout: 60_000 }, async () => {
    await router[Symbol.asyncDispose]();
    const runtime = stack.use(await DistributedRuntime.connect());
    const next = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), { blockSize: 16, warmStart: { folder } }));
    await expect.poll(() => next.sources().map(({ state }) => state), { timeout: 30_000 }).toEqual(['live', 'live']);
    expect(next.sources().map(({ recoveries }) => recoveries.dump)).toEqual([0, 0]);
    const cold = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), { blockSize: 16 }));
    await expect.poll(() => cold.sources().map(({ state }) => state), { timeout: 30_000 }).toEqual(['live', 'live']);
    expect(cold.sources().map(({ recoveries }) => recoveries.dump)).toEqual([1, 1]);
    expect(next.index.counts().blocks).toBe(cold.index.counts().blocks);
  });
});
