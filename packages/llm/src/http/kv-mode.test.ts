import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KvPublisher } from '@dynamo/kv-router';
import { loadPolicyFile } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { encodeModel, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Frontend, FrontendOptions } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { cardFromDirectory } from '../model/card.ts';
import { tinyModel } from '../testing/scripted-worker.ts';
import type { Engine } from '../worker/engine.ts';

const path = 'kv.backend.generate';
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
  /** Prompt lengths in the order in which they came. */
  readonly got: number[];
  /** Lets requests begin to answer; they do from the start unless `held`. */
  readonly go: () => void;
}

/** A worker that caches each prompt it reads, after `go` has been called where it is held. */
async function worker(options: { held?: boolean } = {}): Promise<Worker> {
  const runtime = await connect();
  const got: number[] = [];
  const gate = Promise.withResolvers<void>();
  if (options.held !== true) gate.resolve();
  const engine: Engine = async function* ({ tokenIds }) {
    got.push(tokenIds.length);
    await gate.promise;
    const hashes = Array.from({ length: Math.floor(tokenIds.length / blockSize) }, (_, at) =>
      BigInt(tokenIds.slice(0, (at + 1) * blockSize).reduce((sum, token) => (sum * 31 + token) % 1e9, 7)),
    );
    publisher.stored({ tokenIds, hashes });
    yield { tokenIds: [104] };
    yield { tokenIds: [105], finishReason: 'length' };
  };
  await new Llm(runtime).serve({
    endpoint: path,
    model: tinyModel,
    name: 'tiny',
    blockSize,
    engine,
  });
  const publisher = await KvPublisher.open(runtime, path, { blockSize });
  return { id: runtime.discovery.instanceId, runtime, publisher, got, go: () => gate.resolve() };
}

async function open(router: FrontendOptions['router'] = {}, workers = 1, more: FrontendOptions = {}): Promise<Frontend> {
  const options = { http: { host: '127.0.0.1', port: 0 }, drainMs: 100, router: { mode: 'kv', minWorkers: workers, ...router }, ...more } as const;
  const frontend = stack.use(await new Llm(await connect()).frontend(options));
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  return frontend;
}

const prompt = (from: number, length = 10): number[] => Array.from({ length }, (_, at) => (from + at) % 250);

const ask = (frontend: Frontend, body: Record<string, unknown>, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'tiny', max_tokens: 2, ...body }),
  });
/** Ids are larger than what a double holds: as text. */
const read = async (response: Response): Promise<any> => JSON.parse((await response.text()).replaceAll(/:(\d{16,})/g, ':"$1"'));

describe('what nvext tells', () => {
  test('worker and rank of both halves, the hit rate and the queue', async () => {
    const { id } = await worker();
    const frontend = await open();
    const nvext = { extra_fields: ['worker_id', 'timing'] };
    await ask(frontend, { prompt: prompt(0) });
    await vi.waitFor(async () => {
      const { nvext: told } = await read(await ask(frontend, { prompt: prompt(0), nvext }));
      const both = { prefill_worker_id: String(id), prefill_dp_rank: 0, decode_worker_id: String(id), decode_dp_rank: 0 };
      expect(told).toMatchObject({ worker_id: both, timing: { kv_hit_rate: 2 / 3, router_queue_depth: 0 } });
      const { prefill_wait_time_ms: waited, prefill_time_ms: reading, ttft_ms: first } = told.timing;
      expect(waited).toBeGreaterThan(0);
      expect(waited + reading).toBeCloseTo(first, 6);
    });
  });

  test('only the placement, where that is all that is asked for: no worker hears of it', async () => {
    const { id, got } = await worker();
    const frontend = await open();
    const nvext = { annotations: ['query_instance_id:'] };
    const both = { prefill_worker_id: String(id), prefill_dp_rank: 0, decode_worker_id: String(id), decode_dp_rank: 0 };
    const told = { worker_id: both, token_ids: prompt(7) };
    const whole = await read(await ask(frontend, { prompt: prompt(7), nvext }));
    expect([whole.choices, whole.usage, whole.nvext]).toEqual([[{ text: '', index: 0 }], null, told]);
    const events = (await (await ask(frontend, { prompt: prompt(7), nvext, stream: true })).text())
      .replaceAll(/:(\d{16,})/g, ':"$1"')
      .trim()
      .split('\n\n');
    expect(events).toHaveLength(2);
    expect(events[1]).toBe('data: [DONE]');
    expect(JSON.parse(events[0]?.slice(6) ?? '')).toMatchObject({ choices: [{ text: '', index: 0 }], usage: null, nvext: told });
    const chat = await fetch(`${frontend.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hello' }], nvext }),
    });
    const { choices, usage, nvext: where } = await read(chat);
    expect([choices, usage]).toEqual([
      [{ index: 0, message: { content: null, refusal: null, role: 'assistant' }, finish_reason: null, logprobs: null }],
      undefined,
    ]);
    expect(where).toEqual({ worker_id: both, token_ids: expect.arrayContaining([104]) });
    expect(got).toEqual([]);
  });
});

describe('refusals', () => {
  const vector = JSON.parse(readFileSync(new URL('../../../../vectors/kv-router/policy_classes.json', import.meta.url), 'utf8')) as {
    yaml: string;
    error_body: Record<string, unknown>;
  };

  test.each([false, true])('a queue that is full names its class and its limit (stream %s)', async (stream) => {
    const folder = await mkdtemp(join(tmpdir(), 'policy-'));
    stack.defer(() => rm(folder, { recursive: true }));
    const file = join(folder, 'policy.yaml');
    await writeFile(file, vector.yaml);
    const { go, got } = await worker({ held: true });
    const frontend = await open({ settings: { policyConfig: file }, index: 'none' });
    const running = [ask(frontend, { prompt: prompt(0, 39) })];
    await vi.waitFor(() => expect(got).toHaveLength(1));
    for (let at = 0; at < 2; at++) running.push(ask(frontend, { prompt: prompt(at * 50, 29) }));
    await sleep(100);
    const refused = await ask(frontend, { prompt: prompt(200, 29), stream });
    expect([refused.status, refused.headers.get('content-type')]).toEqual([529, 'application/json']);
    expect(await refused.json()).toEqual(vector.error_body);
    go();
    expect((await Promise.all(running)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(got).toEqual([39, 29, 29]);
  });

  test('a bad policy file stops the frontend before it listens', async () => {
    const runtime = await connect();
    const options = { http: { port: 0 }, router: { mode: 'kv', settings: { policyConfig: '/nowhere.yaml' } } } as const;
    await expect(new Llm(runtime).frontend(options)).rejects.toThrow('failed to read router policy config /nowhere.yaml');
    await expect(new Llm(runtime).frontend({ http: { port: 0 }, router: { mode: 'kv', temperature: -1 } })).rejects.toThrow('router_temperature');
    await expect(loadPolicyFile('/nowhere.yaml')).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  test('workers that are all busy: 529, also for a pin; the reading of a prompt counts without any message', async () => {
    const first = await worker({ held: true });
    const frontend = await open({ overload: { prefillTokens: 5 } });
    const running = ask(frontend, { prompt: prompt(0, 39) });
    await vi.waitFor(() => expect(first.got).toHaveLength(1));
    const overloaded = { message: 'Service temporarily overloaded', type: 'Overloaded', code: 529 };
    for (const [more, headers] of [
      [{}, {}],
      [{ stream: true }, {}],
      [{}, { 'x-dynamo-worker-instance-id': String(first.id) }],
    ] as const) {
      const refused = await ask(frontend, { prompt: prompt(9), ...more }, headers);
      expect([refused.status, await refused.json()]).toEqual([529, overloaded]);
    }
    first.go();
    expect((await running).status).toBe(200);
    await expect.poll(async () => (await ask(frontend, { prompt: prompt(9) })).status).toBe(200);
  });

  test('thresholds that are set while it runs hold for kv mode too', async () => {
    const only = await worker({ held: true });
    const frontend = await open({}, 1, { access: { admin: 'open' } });
    const set = await fetch(`${frontend.address}/busy_threshold`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', active_prefill_tokens_threshold: 5 }),
    });
    expect(set.status).toBe(200);
    only.publisher.load({ kvUsedBlocks: 1 });
    const running = ask(frontend, { prompt: prompt(0, 39) });
    await vi.waitFor(() => expect(only.got).toHaveLength(1));
    await sleep(50);
    expect((await ask(frontend, { prompt: prompt(9) })).status).toBe(529);
    only.go();
    expect((await running).status).toBe(200);
  });

  test('nobody routable: 500 in the words of the real one', async () => {
    const only = await worker();
    const frontend = await open();
    await ask(frontend, { prompt: prompt(0) });
    const taint = { routing_constraints: { required_taints: ['nowhere'] } };
    const refused = await ask(frontend, { prompt: prompt(0), nvext: taint });
    expect([refused.status, await refused.json()]).toEqual([
      500,
      { message: 'Failed to generate completions', type: 'Internal Server Error', code: 500 },
    ]);
    expect(only.got).toHaveLength(1);
  });
});

describe('sessions and pins', () => {
  test.each(['kv', 'round-robin'] as const)('in mode %s a session keeps its worker, by whichever header names it', async (mode) => {
    const workers = [await worker(), await worker(), await worker()];
    const frontend = await open({ mode, affinity: { ttlMs: 60_000 } }, 3);
    for (const header of ['x-dynamo-session-id', 'x-claude-code-session-id', 'thread-id', 'x-session-id']) {
      for (const { got } of workers) got.length = 0;
      for (let round = 0; round < 6; round++)
        expect((await ask(frontend, { prompt: prompt(round * 20) }, { [header]: `by ${header}` })).status).toBe(200);
      expect(workers.map(({ got }) => got.length).toSorted()).toEqual([0, 0, 6]);
    }
    expect((await ask(frontend, { prompt: prompt(0) }, { 'x-session-id': 'x'.repeat(257) })).status).toBe(400);
    expect((await ask(frontend, { prompt: prompt(0) }, { 'x-session-id': ' ' })).status).toBe(200);
  });

  test('a pinned request counts on its worker, and one to nobody is refused', async () => {
    const [first, second] = [await worker({ held: true }), await worker({ held: true })];
    const frontend = await open({}, 2);
    const pinned = ask(frontend, { prompt: prompt(0, 200) }, { 'x-dynamo-worker-instance-id': String(first.id) });
    await vi.waitFor(() => expect(first.got).toEqual([200]));
    const free = Array.from({ length: 3 }, (_, at) => ask(frontend, { prompt: prompt(at * 20, 12) }));
    await vi.waitFor(() => expect(second.got).toEqual([12, 12, 12]));
    expect((await ask(frontend, { prompt: prompt(0) }, { 'x-dynamo-worker-instance-id': '12345' })).status).toBe(400);
    for (const { go } of [first, second]) go();
    expect((await Promise.all([pinned, ...free])).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(first.got).toEqual([200]);
  });
});

describe("a card's own router configuration", () => {
  test("takes the place of the frontend's", async () => {
    const runtime = await connect();
    const served = await runtime.serve(path, async function* () {
      yield { token_ids: [104], finish_reason: 'length' };
    });
    const { id, namespace, component, endpoint } = served.instance;
    const plain = await cardFromDirectory(tinyModel, { name: 'tiny', blockSize });
    const config = { router_mode: 'k_v', kv_router_config: {}, load_threshold_config: {}, session_affinity_mode: 'hard' };
    await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...plain, router_config: config } }));
    const frontend = await open({ mode: 'round-robin' });
    const { nvext } = await read(await ask(frontend, { prompt: prompt(0), nvext: { extra_fields: ['timing'] } }));
    // Only a KV router tells of hits.
    expect(nvext.timing.kv_hit_rate).toBe(0);
  });
});
