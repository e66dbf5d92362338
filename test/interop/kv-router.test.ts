import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type KvRouterOptions } from '@dynamo/kv-router';
import { KvRouting, serveRouter } from '@dynamo/kv-router/internal';
import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, parseEndpointPath } from '@dynamo/runtime/internal';
import { describe, expect, test } from 'vitest';
import { startDialogue } from './dialogue.ts';
import { startMocker } from './mocker.ts';
import { findPython, freePort, scene, startFrontend, startOurFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const path = 'dynamo.backend.generate';

/** Tokens of the tiny vocabulary (the real frontend refuses others) that begin another prompt for each `seed`. */
function tokens(seed: number, count: number): number[] {
  let state = seed + 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * 250);
  });
}

/** Real mockers in a discovery folder of their own. */
async function mockers(stack: AsyncDisposableStack, args: readonly string[] = []) {
  const { env } = stack.use(await scene());
  Object.assign(process.env, env);
  const usual = ['--model-path', tiny, '--model-name', 'mock', '--num-workers', '2', '--speedup-ratio', '10', '--block-size', '16'];
  const mocker = stack.use(startMocker(python, { args: [...usual, ...args], env }));
  return { env, mocker };
}

async function ready(url: string, workers = 2): Promise<void> {
  await expect
    .poll(async () => (await fetch(`${url}/v1/models/mock/ready`).catch(() => undefined))?.json().catch(() => undefined), { timeout: 60_000 })
    .toMatchObject({ namespaces: { dynamo: { worker_types: { aggregated: { workers } } } } });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
}

interface Told {
  readonly status: number;
  readonly text: string;
  readonly worker: string | undefined;
  readonly rank: number | undefined;
  readonly cached: number;
}

async function ask(url: string, prompt: number[], options: { maxTokens?: number; headers?: Record<string, string> } = {}): Promise<Told> {
  const response = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...options.headers },
    body: JSON.stringify({ model: 'mock', prompt, max_tokens: options.maxTokens ?? 2, nvext: { extra_fields: ['worker_id'] } }),
  });
  const text = await response.text();
  const [, worker] = /"decode_worker_id":(\d+)/.exec(text) ?? [];
  const [, rank] = /"decode_dp_rank":(\d+)/.exec(text) ?? [];
  const [, cached = '0'] = /"cached_tokens":(\d+)/.exec(text) ?? [];
  return { status: response.status, text, worker, rank: rank === undefined ? undefined : Number(rank), cached: Number(cached) };
}

/** Our own router over the mockers, in this process. */
async function routing(stack: AsyncDisposableStack, options: Partial<KvRouterOptions> = {}): Promise<KvRouting> {
  const runtime = stack.use(await DistributedRuntime.connect());
  const opened = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), { blockSize: 16, ...options }));
  await opened.ready();
  return opened;
}

describe.skipIf('missing' in found)('a router that others ask', () => {
  test.each(['ours', 'real'] as const)('Python processes ask %s, and hear the same', { timeout: 90_000 }, async (which) => {
    await using stack = new AsyncDisposableStack();
    const { env } = await mockers(stack);
    const args = ['--endpoint', path, '--router-block-size', '16'];
    const command = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
    const child =
      which === 'ours'
        ? spawn(process.execPath, ['--conditions=@dynamo/source', command, 'router', ...args], { env: { ...process.env, ...env } })
        : spawn(python, ['-m', 'dynamo.router', ...args], { env: { ...process.env, ...env } });
    stack.defer(() => void child.kill('SIGKILL'));
    if (which === 'ours') createInterface({ input: child.stderr }).on('line', (line) => process.env['INTEROP_VERBOSE'] && console.log(line));
    const peer = stack.use(startDialogue(python, 'py_ask.py', { env }));
    const call = (verb: string, request: unknown) => peer.ask<any>({ endpoint: `dynamo.router.${verb}`, request });
    const scores = async (prompt: number[]): Promise<any> => (await call('get_overlap_scores', { token_ids: prompt })).items?.[0];
    await expect.poll(async () => (await scores(tokens(1, 36)))?.workers?.length, { timeout: 30_000 }).toBe(2);
    const request = { token_ids: tokens(1, 36), stop_conditions: { max_tokens: 2 }, sampling_options: {}, output_options: {} };
    const { items } = await call('generate', request);
    expect(items.flatMap(({ token_ids }: any) => token_ids)).toHaveLength(2);
    const { worker_id: placed } = items[0].routing_data;
    const worker = placed.decode_worker_id;
    expect(placed).toEqual({ prefill_worker_id: worker, prefill_dp_rank: 0, decode_worker_id: worker, decode_dp_rank: 0 });
    expect(Object.keys(items.at(-1).routing_data.timing).toSorted()).toEqual([
      'kv_hit_rate',
      'prefill_time_ms',
      'prefill_wait_time_ms',
      'request_received_ms',
      'router_queue_depth',
      'total_time_ms',
      'ttft_ms',
    ]);
    const row = { dp_rank: 0, host_pinned_extension_blocks: 0, disk_extension_blocks: 0, shared_beyond_device_blocks: null };
    await expect
      .poll(() => scores(tokens(1, 36)), { timeout: 5_000 })
      .toEqual({
        block_size: 16,
        num_blocks: 2,
        workers: expect.arrayContaining([{ worker_id: worker, ...row, device_blocks: 2, host_pinned_blocks: 2, disk_blocks: 2 }]),
        shared_cache: { enabled: false, total_hit_blocks: 0, ranges: [], error: null },
      });
    expect(await call('best_worker_id', tokens(1, 36))).toEqual({ items: [worker] });
    const again = (await call('generate', { ...request, dp_rank: 0 })).items;
    expect([again[0].routing_data.worker_id.decode_worker_id, again.at(-1).routing_data.timing.kv_hit_rate]).toEqual([worker, 2 / 3]);
    for (const [verb, bad] of [
      ['best_worker_id', { token_ids: [1] }],
      ['get_overlap_scores', { tokens: [1] }],
      ['generate', 5],
      ['generate', { tokens: [1] }],
    ] as const)
      expect(Object.keys(await call(verb, bad)), verb).toEqual(['error']);
    // It goes on after that.
    expect((await call('best_worker_id', [])).items).toHaveLength(1);
  });

  test('a router over our own workers takes their answers as they are', { timeout: 60_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const worker = stack.use(await DistributedRuntime.connect());
    await new Llm(worker).serve({
      endpoint: path,
      model: tiny,
      name: 'm',
      blockSize: 16,
      engine: async function* () {
        yield { tokenIds: [1], extra: { engine_data: { kept: true } } };
        yield { tokenIds: [2], finishReason: 'stop' };
      },
    });
    const runtime = stack.use(await DistributedRuntime.connect());
    stack.use(await serveRouter(runtime, path, { blockSize: 16 }));
    const client = await runtime.client<unknown, any>('dynamo.router.generate');
    await client.ready();
    const items = await collect(client.generate({ token_ids: [1, 2, 3], stop_conditions: {}, sampling_options: {}, output_options: {} }));
    expect(items.map(({ token_ids, engine_data, finish_reason }) => [token_ids, engine_data?.kept, finish_reason ?? null])).toEqual([
      [[1], true, null],
      [[2], undefined, 'stop'],
    ]);
    expect(BigInt(items[0].routing_data.worker_id.decode_worker_id)).toBe(worker.discovery.instanceId);
  });
});

describe.skipIf('missing' in found)('several routers of the same workers', () => {
  /** Requests that the table of a router shows, ours and those that it was told of. */
  const running = (router: KvRouting): number =>
    router.loads({ model: 'm', tokenIds: [] }).reduce((sum, { activeRequests }) => sum + activeRequests, 0);

  test('ours hear each other', { timeout: 60_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    await mockers(stack);
    const [first, second] = [await routing(stack, { replicaSync: true }), await routing(stack, { replicaSync: true })];
    await expect.poll(() => first.workers.size, { timeout: 30_000 }).toBe(2);
    await expect.poll(() => second.workers.size, { timeout: 30_000 }).toBe(2);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const booking = await first.book({ model: 'm', tokenIds: tokens(1, 500) }, {});
    await expect.poll(() => running(second), { timeout: 5_000 }).toBe(1);
    // What the first one sends there, the second one sends elsewhere.
    const other = await second.place({ model: 'm', tokenIds: tokens(9_000, 500) }, {});
    expect(other.workerId).not.toBe(booking.placed.workerId);
    booking.free();
    await expect.poll(() => running(second), { timeout: 5_000 }).toBe(0);
  });

  test('ours and a real frontend hear each other, and keep a session on one worker', { timeout: 120_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = await mockers(stack, ['--speedup-ratio', '1']);
    const flags = ['--router-mode', 'kv', '--router-replica-sync', '--router-session-affinity-ttl-secs', '60'];
    const real = stack.use(await startFrontend(python, { port: await freePort(), env, args: flags }));
    const ours = stack.use(await startOurFrontend({ port: await freePort(), env, args: flags }));
    await ready(real.url);
    await ready(ours.url);
    const watcher = await routing(stack, { replicaSync: true });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    for (const [from, to] of [
      [real, ours],
      [ours, real],
    ] as const) {
      const long = ask(from.url, tokens(from === real ? 2_000 : 3_000, 400), { maxTokens: 200 });
      await expect.poll(() => running(watcher), { timeout: 10_000, interval: 5 }).toBe(1);
      const elsewhere = await Promise.all([ask(to.url, tokens(100, 40)), ask(to.url, tokens(600, 40))]);
      const busy = await long;
      expect([busy.status, ...elsewhere.map(({ status }) => status)]).toEqual([200, 200, 200]);
      for (const { worker } of elsewhere) expect(worker, from === real ? 'told by the real one' : 'told by ours').not.toBe(busy.worker);
      await expect.poll(() => running(watcher), { timeout: 10_000 }).toBe(0);
    }
    for (const [at, [from, to]] of [[real, ours] as const, [ours, real] as const].entries()) {
      const headers = { 'x-session-id': `session ${at}` };
      const bound = await ask(from.url, tokens(30_000 + at * 1_000, 40), { headers });
      await new Promise((resolve) => setTimeout(resolve, 200));
      const later: Told[] = [];
      for (let round = 0; round < 4; round++) later.push(await ask(to.url, tokens(40_000 + at * 1_000 + round * 100, 40), { headers }));
      expect(later.map(({ worker }) => worker)).toEqual(Array.from({ length: 4 }, () => bound.worker));
    }
  });
});

describe.skipIf('missing' in found)('workers that come, go and have ranks', () => {
  test('a worker that is killed and comes back cold is used again, and nothing of it is remembered', { timeout: 120_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env, mocker } = await mockers(stack);
    const ours = stack.use(await startOurFrontend({ port: await freePort(), env, args: ['--router-mode', 'kv'] }));
    await ready(ours.url);
    const warm = await ask(ours.url, tokens(1_000, 330));
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await ask(ours.url, tokens(1_000, 330))).toMatchObject({ status: 200, worker: warm.worker, cached: 320 });
    await mocker[Symbol.asyncDispose]();
    // Its records go when nobody renews them.
    await expect.poll(async () => (await ask(ours.url, tokens(1_000, 330))).status, { timeout: 40_000, interval: 500 }).not.toBe(200);
    const usual = ['--model-path', tiny, '--model-name', 'mock', '--num-workers', '2', '--speedup-ratio', '10', '--block-size', '16'];
    stack.use(startMocker(python, { args: usual, env }));
    let cold: Told | undefined;
    await expect.poll(async () => (cold = await ask(ours.url, tokens(1_000, 330))).status, { timeout: 60_000, interval: 500 }).toBe(200);
    expect(cold).toMatchObject({ cached: 0 });
    expect(cold?.worker).not.toBe(warm.worker);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(await ask(ours.url, tokens(1_000, 330))).toMatchObject({ worker: cold?.worker, cached: 320 });
  });

  test('each rank of a worker has its own cache and load', { timeout: 120_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = await mockers(stack, ['--num-workers', '1', '--data-parallel-size', '3']);
    const ours = stack.use(await startOurFrontend({ port: await freePort(), env, args: ['--router-mode', 'kv'] }));
    await ready(ours.url, 1);
    const spread = await Promise.all(Array.from({ length: 6 }, (_, at) => ask(ours.url, tokens(1_000 * (at + 1), 165), { maxTokens: 20 })));
    expect(spread.map(({ rank }) => rank).toSorted()).toEqual([0, 0, 1, 1, 2, 2]);
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const [at, { rank }] of spread.entries())
      expect(await ask(ours.url, tokens(1_000 * (at + 1), 165))).toMatchObject({ status: 200, rank, cached: 160 });
  });
});
