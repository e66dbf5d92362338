import { readFileSync } from 'node:fs';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, encodeModel, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KvPublisher } from '../kv-publisher.ts';
import { KvRouter } from '../kv-router.ts';
import type { KvRouterOptions } from '../options.ts';
import { decodeTokenRequest } from '../wire/preprocessed-request.ts';

const path = 'demo.backend.generate';
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

/** A worker that caches the prompts of 4-token blocks that it reads and answers with three tokens. */
async function worker(config: Record<string, unknown> = {}) {
  const runtime = await connect();
  const served = await runtime.serve(path, async function* (request: unknown) {
    const { tokenIds } = decodeTokenRequest(request);
    publisher.stored({ tokenIds, hashes: Array.from({ length: Math.floor(tokenIds.length / 4) }, (_, index) => BigInt(tokenIds[index * 4] ?? 0)) });
    yield { token_ids: [1] };
    yield {
      token_ids: [2, 3],
      completion_usage: { prompt_tokens: 0, completion_tokens: 3, total_tokens: 3, prompt_tokens_details: { cached_tokens: 4 } },
    };
  });
  const { id, namespace, component, endpoint } = served.instance;
  await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { display_name: 'm', runtime_config: config } }));
  const publisher = await KvPublisher.open(runtime, path, { blockSize: 4 });
  return { id, runtime, publisher };
}

async function router(options: Partial<KvRouterOptions> = {}) {
  const runtime = await connect();
  const opened = stack.use(await KvRouter.open(runtime, path, { blockSize: 4, model: 'm', ...options }));
  await opened.ready();
  const text = (): Promise<string> => runtime.metrics.text();
  return { router: opened, runtime, text };
}

const prompt = (from: number, length = 10): number[] => Array.from({ length }, (_, index) => from + index);

/** The value of the first line of a family that has all of these labels. */
const valueOf = (text: string, name: string, ...labels: string[]): number | undefined => {
  const line = text.split('\n').find((one) => one.startsWith(name) && !one.startsWith('#') && labels.every((label) => one.includes(label)));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
};

interface Shape {
  readonly help: string;
  readonly type: string;
  readonly labels: readonly string[];
  readonly buckets?: readonly string[];
}

/** Families of the real router that ours has not, by why. */
const leftOut: readonly [RegExp, string][] = [
  [/_approximate_lru_|_approximate_cache_/, 'no second eviction rule for guesses'],
  [/_active_sequence_zmq_ingress_(?!payload_decode_errors)/, 'the event plane counts what it drops, for all topics alike'],
  [/_active_sequence_ingress_queue_depth/, 'messages are applied as they come'],
  [/_kv_zmq_ingress_lifecycle_total/, 'states are gauges'],
];

const shapesOf = (text: string): Map<string, Shape> =>
  new Map(
    text
      .split(/^(?=# HELP)/m)
      .filter((block) => block.startsWith('# HELP'))
      .map((block) => {
        const [, name = '', help = '', type = ''] = /^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)/.exec(block) ?? [];
        const labels = [...new Set([...block.matchAll(/[{,](\w+)="/g)].map(([, label = '']) => label))].filter((label) => label !== 'le').toSorted();
        const buckets = [...new Set([...block.matchAll(/le="(.*?)"/g)].map(([, bound = '']) => bound))];
        return [name, { help, type, labels, ...(type === 'histogram' ? { buckets } : {}) }];
      }),
  );

test('families have the names, texts, labels and bounds of the real router', async () => {
  await worker();
  const { router: asked, text } = await router();
  await collect(asked.generate({ model: 'm', tokenIds: prompt(0) }));
  const captured = JSON.parse(readFileSync(new URL('../../../../vectors/metrics/families.json', import.meta.url), 'utf8')) as {
    frontend: Record<string, Shape>;
  };
  const real = Object.entries(captured.frontend).filter(([name]) => /_router_|_kv_cache_event|frontend_worker_/.test(name));
  const ours = shapesOf(await text());
  const kept = real.filter(([name]) => !leftOut.some(([pattern]) => pattern.test(name)));
  expect(kept.length).toBeGreaterThan(40);
  for (const [name, shape] of kept) expect([name, ours.get(name)]).toEqual([name, shape]);
});

test('a request is counted from its arrival to its end', async () => {
  const { id } = await worker();
  const { router: asked, text } = await router();
  await collect(asked.generate({ model: 'm', tokenIds: prompt(0) }));
  await vi.waitFor(async () => expect((await asked.best({ model: 'm', tokenIds: prompt(0) })).overlapBlocks).toBe(2));
  await collect(asked.generate({ model: 'm', tokenIds: prompt(0) }));
  const shown = await text();
  const rows: [string, number][] = [
    ['dynamo_frontend_router_admission_received_total', 2],
    ['dynamo_component_router_requests_started_total', 2],
    ['dynamo_component_router_requests_total', 2],
    ['dynamo_component_router_input_sequence_tokens_sum', 20],
    ['dynamo_component_router_output_sequence_tokens_sum', 6],
    ['dynamo_component_router_time_to_first_token_seconds_count', 2],
    ['dynamo_component_router_kv_hit_rate_sum', 2 / 3],
    ['dynamo_component_router_kv_selected_cached_prefix_tokens_total', 8],
    ['dynamo_component_router_kv_best_eligible_cached_prefix_tokens_total', 8],
    ['dynamo_component_router_kv_worker_reused_tokens_total', 8],
    ['dynamo_router_overhead_total_ms_count', 2],
    ['dynamo_component_router_index_blocks', 2],
    ['dynamo_component_router_kv_sources_degraded', 0],
  ];
  for (const [name, value] of rows) expect([name, valueOf(shown, name)]).toEqual([name, value]);
  expect(valueOf(shown, 'dynamo_component_kv_cache_events_applied', 'event_type="stored"', 'status="ok"')).toBe(2);
  expect(valueOf(shown, 'dynamo_component_router_kv_zmq_ingress_sources', 'state="active"')).toBe(1);
  expect(valueOf(shown, 'dynamo_component_router_worker_registered', `router_worker_id="${id}"`)).toBe(1);
  expect(valueOf(shown, 'dynamo_frontend_worker_last_input_sequence_tokens', `worker_id="${id}"`)).toBe(10);
});

test('what waits and what is refused is counted by class', async () => {
  await worker({ max_num_batched_tokens: 10 });
  const policy = { name: 'only', family: 'f', bucket: 'b', queue: 'fcfs', quantum: 1, busyTokens: 5, requestsPerWorker: 1 } as const;
  const { router: asked, text } = await router({
    profile: { defaultFamily: 'f', buckets: [{ minTokens: 0, bucket: 'b' }], classes: [policy] },
  });
  const held = await asked.reserve({ model: 'm', tokenIds: prompt(0) });
  const waiting = asked.reserve({ model: 'm', tokenIds: prompt(100) });
  await vi.waitFor(async () => expect(valueOf(await text(), 'dynamo_frontend_router_queue_pending_requests')).toBe(1));
  await expect(asked.reserve({ model: 'm', tokenIds: prompt(200) })).rejects.toMatchObject({ code: 'queue_limit_exceeded' });
  const shown = await text();
  expect(valueOf(shown, 'dynamo_frontend_router_queue_pending_isl_tokens')).toBe(10);
  expect(valueOf(shown, 'dynamo_frontend_router_queue_backpressure_total', 'policy_class="only"', 'reason="request_limit"')).toBe(1);
  held[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  expect(valueOf(await text(), 'dynamo_frontend_router_queue_pending_requests')).toBe(0);
});

test('two routers of one component add up, and what one leaves behind is no series of its own', async () => {
  const { id, runtime: workers } = await worker();
  const { router: asked, runtime, text } = await router();
  const second = await KvRouter.open(runtime, path, { blockSize: 4, model: 'n' });
  const active = async (): Promise<number | undefined> => valueOf(await text(), 'dynamo_component_router_kv_zmq_ingress_sources', 'state="active"');
  await vi.waitFor(async () => expect(await active()).toBe(2));
  await second[Symbol.asyncDispose]();
  expect(await active()).toBe(1);
  expect(valueOf(await text(), 'dynamo_component_router_index_blocks', 'model="n"')).toBeUndefined();
  await collect(asked.generate({ model: 'm', tokenIds: prompt(0) }));
  await workers[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect(valueOf(await text(), 'dynamo_component_router_worker_registered', String(id))).toBeUndefined());
});
