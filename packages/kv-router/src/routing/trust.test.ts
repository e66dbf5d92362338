import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KvRouter } from '../kv-router.ts';
import { ask, type CachingWorker, Cluster, prompt } from '../testing/cluster.ts';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const standing = async (router: KvRouter, worker: CachingWorker, tokenIds = prompt(0)) => {
  const { candidates } = await router.explain({ model: 'm', tokenIds });
  const candidate = candidates.find(({ workerId }) => workerId === worker.id);
  return { ...candidate?.events, overlap: candidate?.overlap.device };
};

test('a worker whose engine finds nothing of what it told of is placed by decisions, then by load; the other as before', async () => {
  const [liar, honest] = [await cluster.worker(), await cluster.worker()];
  const router = await cluster.router({ workers: 2 });
  for (const worker of [liar, honest]) await ask(router, prompt(0), { instance: worker.id });
  await vi.waitFor(async () => expect(await standing(router, liar)).toMatchObject({ state: 'live', level: 'exact', overlap: 10 }));
  liar.says = () => 0;
  for (let at = 0; at < 8; at++) await ask(router, prompt(0), { instance: liar.id });
  expect(await standing(router, liar)).toMatchObject({ state: 'untrusted', level: 'approximate', overlap: 10 });
  // Its own decisions say the same as its events, and fare no better.
  for (let at = 0; at < 8; at++) await ask(router, prompt(0), { instance: liar.id });
  expect(await standing(router, liar)).toMatchObject({ state: 'untrusted', level: 'load', overlap: 0 });
  expect(await standing(router, honest)).toMatchObject({ state: 'live', level: 'exact', overlap: 10 });
  expect((await router.best({ model: 'm', tokenIds: prompt(0) })).instance).toBe(honest.id);
  liar.says = undefined;
  for (let at = 0; at < 16; at++) await ask(router, prompt(0), { instance: liar.id });
  expect(await standing(router, liar)).toMatchObject({ state: 'live', level: 'exact', overlap: 10 });
});

test('trust can be told without being acted on, and turned off', async () => {
  const worker = await cluster.worker();
  const watching = await cluster.router({ trust: 'watch' });
  const off = await cluster.router({ trust: 'off' });
  worker.says = (cached) => 400 - cached;
  await ask(watching, prompt(0));
  await vi.waitFor(async () => expect(await standing(watching, worker)).toMatchObject({ state: 'live', overlap: 10 }));
  for (let at = 0; at < 12; at++) await Promise.all([ask(watching, prompt(0)), ask(off, prompt(0))]);
  await vi.waitFor(async () => expect(await standing(watching, worker)).toMatchObject({ state: 'untrusted', overlap: 10 }), { timeout: 5_000 });
  expect(await standing(off, worker)).toEqual({ overlap: 10 });
});

test('a burst of equal prompts is no contradiction: its events are only late', async () => {
  const worker = await cluster.worker({ delayMs: 5 });
  const router = await cluster.router();
  await vi.waitFor(async () => expect(await standing(router, worker)).toMatchObject({ state: 'live' }));
  await Promise.all(Array.from({ length: 30 }, () => ask(router, prompt(0, 400))));
  await sleep(1_100);
  expect(await standing(router, worker)).toMatchObject({ state: 'live', level: 'exact' });
});

test('an engine that says nothing of its cache is not judged by it', async () => {
  const worker = await cluster.worker();
  worker.says = () => undefined;
  const router = await cluster.router();
  await vi.waitFor(async () => expect(await standing(router, worker)).toMatchObject({ state: 'live' }));
  for (let at = 0; at < 12; at++) await ask(router, prompt(0));
  expect(await standing(router, worker)).toMatchObject({ state: 'live', level: 'exact' });
});

test('metrics show how ranks are trusted, and no longer when the router is gone', async () => {
  const worker = await cluster.worker();
  const runtime = await cluster.connect();
  const router = await KvRouter.open(runtime, cluster.path, { blockSize: cluster.blockSize });
  await router.ready();
  await ask(router, prompt(0));
  await vi.waitFor(async () => expect(await standing(router, worker)).toMatchObject({ state: 'live' }));
  await vi.waitFor(async () => expect(await runtime.metrics.text()).toMatch(/dynamo_component_router_trust_ranks\{.*state="live".*\} 1\n/));
  expect(await runtime.metrics.text()).toMatch(new RegExp(`router_trust_level\\{.*rank_worker="${worker.id}".*\\} 2\\n`));
  await router[Symbol.asyncDispose]();
  expect(await runtime.metrics.text()).not.toContain('router_trust');
});
