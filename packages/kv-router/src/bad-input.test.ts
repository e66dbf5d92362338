import type { DistributedRuntime } from '@dynamo/runtime';
import { bare, decodeJson, encodeEventSource, encodeInstance, encodeMsgpack, type EventPublisher, parseEndpointPath } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { blockHashes } from './hash/block-hash.ts';
import { KvRouting } from './routing/kv-routing.ts';
import { ask, type CachingWorker, Cluster, prompt } from './testing/cluster.ts';

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster[Symbol.asyncDispose]());

const scope = { namespace: 'demo', component: 'backend', endpoint: 'generate' };

/** A worker whose publisher is ours to misuse: what it says of its events is what the test sends. */
async function hostile(): Promise<{ worker: CachingWorker; publisher: EventPublisher; send: (events: unknown) => void; asked: unknown[] }> {
  const worker = await cluster.worker({ publishes: false });
  const { runtime } = worker;
  const publisher = await runtime.events.publish(scope, 'kv-events');
  const asked: unknown[] = [];
  await announce(runtime, { worker: worker.id, publisher, asked });
  const send = (events: unknown): void => void publisher.publish(events instanceof Uint8Array ? events : encodeMsgpack(events));
  return { worker, publisher, send, asked };
}

/** Names a source in discovery, and answers each question with nothing but the number of the newest event that was asked about. */
async function announce(runtime: DistributedRuntime, of: { worker: bigint; publisher: EventPublisher; asked: unknown[] }): Promise<void> {
  const served = await runtime.serve<any, unknown>(`demo.backend.worker_kv_query_source_${of.publisher.id.toString(16)}`, async function* (query) {
    of.asked.push(query.start_event_id);
    yield bare({ Events: { events: [], last_event_id: Math.max(0, (query.start_event_id ?? 1) - 1) } });
  });
  const { type: _, ...target } = decodeJson(encodeInstance(served.instance).value) as Record<string, unknown>;
  const metadata = { worker: { worker_id: of.worker, dp_rank: 0 }, recovery_target: target };
  await runtime.discovery.put(encodeEventSource({ scope, topic: 'kv-events', publisher: of.publisher.id, metadata }));
}

const hashes = (tokenIds: number[]): bigint[] => blockHashes(tokenIds, { blockSize: cluster.blockSize });
const blocks = (tokenIds: number[], names: readonly (bigint | number | Uint8Array)[]): unknown[] =>
  hashes(tokenIds).map((tokens_hash, at) => ({ block_hash: names[at], tokens_hash, mm_extra_info: null }));
const stored = (worker: bigint, id: number, what: { blocks: unknown[]; parent?: unknown; dpRank?: unknown }): unknown => ({
  worker_id: worker,
  storage_tier: 'device',
  residency_domain: 'worker',
  event: {
    event_id: id,
    data: { stored: { parent_hash: what.parent ?? null, start_position: null, blocks: what.blocks } },
    dp_rank: what.dpRank ?? 0,
  },
});

async function open(workers: number): Promise<KvRouting> {
  const routing = await KvRouting.open(await cluster.connect(), parseEndpointPath(cluster.path), { blockSize: cluster.blockSize });
  await routing.ready();
  await vi.waitFor(() => expect(routing.workers.size).toBe(workers));
  await vi.waitFor(() => expect(routing.sources().map(({ state }) => state)).toEqual(Array.from({ length: workers }, () => 'live')));
  return routing;
}

const overlap = (routing: KvRouting, tokenIds: number[]): Record<string, number> =>
  Object.fromEntries(
    routing
      .overlapScores({ model: 'm', tokenIds })
      .ranks.filter(({ device }) => device > 0)
      .map(({ workerId, dpRank, device }) => [`${workerId}/${dpRank}`, device]),
  );

const [p, q] = [prompt(0, 16), prompt(500, 16)];

describe('one bad worker never spoils the scores of another', () => {
  const bad: [string, (id: bigint) => unknown, string][] = [
    ['no msgpack at all', () => Uint8Array.of(0xc1, 0xff, 0x00), 'nothing'],
    ['an event without data', (id) => [{ worker_id: id, event: { event_id: 1 } }], 'nothing'],
    [
      'byte strings for hashes',
      (id) => [
        stored(id, 1, {
          blocks: blocks(
            p,
            p.map(() => Uint8Array.of(1, 2)),
          ),
        }),
      ],
      'nothing',
    ],
    ['a number that is no integer for a hash', (id) => [stored(id, 1, { blocks: blocks(p, [1, 2.5, 3, 4]) })], 'nothing'],
    ['a parent that nobody has', (id) => [stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]), parent: 99 })], 'nothing'],
    ['a store that contains its parent', (id) => [stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]), parent: 2 })], 'nothing'],
    ['a rank that the worker has not', (id) => [stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]), dpRank: 7 })], 'nothing'],
    ['a rank that is no number', (id) => [stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]), dpRank: 'x' })], 'nothing'],
    ['a tier that there is not', (id) => [{ ...(stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]) }) as object), storage_tier: 'moon' }], 'nothing'],
    [
      'a domain that nobody knows',
      (id) => [{ ...(stored(id, 1, { blocks: blocks(p, [1, 2, 3, 4]) }) as object), residency_domain: 'moon' }],
      'nothing',
    ],
    // Engines' own events may have them; on the event plane they are unsigned, as in 1.6.1.
    ['signed hashes', (id) => [stored(id, 1, { blocks: blocks(p, [-1, -2, -3, -4]) })], 'nothing'],
    ['hashes that are all the same', (id) => [stored(id, 1, { blocks: blocks(p, [5, 5, 5, 5]) })], 'all of it'],
    ['a removal of what was never there', (id) => [{ worker_id: id, event: { event_id: 1, data: { removed: { block_hashes: [77] } } } }], 'nothing'],
  ];

  test.each(bad)('%s', async (_name, message, counts) => {
    const { worker, send } = await hostile();
    const good = await cluster.worker();
    await using routing = await open(2);
    good.publisher?.stored({ tokenIds: q, hashes: [11n, 12n, 13n, 14n] });
    send(message(worker.id));
    good.publisher?.stored({ tokenIds: p, hashes: [21n, 22n, 23n, 24n] });
    await vi.waitFor(() => expect(overlap(routing, p)).toMatchObject({ [`${good.id}/0`]: 4 }));
    expect(overlap(routing, q)).toEqual({ [`${good.id}/0`]: 4 });
    const whole = { [`${good.id}/0`]: 4, [`${worker.id}/0`]: 4 };
    await vi.waitFor(() => expect(overlap(routing, p)).toEqual(counts === 'all of it' ? whole : { [`${good.id}/0`]: 4 }));
  });

  test('an event of another worker is dropped and counted, whoever sends it', async () => {
    const { worker, send } = await hostile();
    const good = await cluster.worker();
    await using routing = await open(2);
    send([stored(good.id, 1, { blocks: blocks(p, [1, 2, 3, 4]) })]);
    await vi.waitFor(() => expect(routing.sources().find(({ workerId }) => workerId === worker.id)?.malformed).toBe(1));
    expect(overlap(routing, p)).toEqual({});
  });

  test('the good events of a batch with a bad one count, and what the bad one would have said is asked for', async () => {
    const { worker, send, asked } = await hostile();
    await using routing = await open(1);
    const first = blocks(p, [1, 2, 3, 4]);
    send([
      stored(worker.id, 1, { blocks: first.slice(0, 2) }),
      { worker_id: worker.id, event: {} },
      stored(worker.id, 3, { blocks: blocks(q, [5, 6, 7, 8]) }),
    ]);
    await vi.waitFor(() => expect(asked).toEqual([null, 2]));
    await vi.waitFor(() => expect([overlap(routing, p), overlap(routing, q)]).toEqual([{ [`${worker.id}/0`]: 2 }, { [`${worker.id}/0`]: 4 }]));
    expect(routing.sources()[0]).toMatchObject({ malformed: 1, gaps: 1, cursor: 3 });
  });

  test('a removed worker is not brought back by what it says later', async () => {
    const { worker, send } = await hostile();
    const good = await cluster.worker();
    await using routing = await open(2);
    send([stored(worker.id, 1, { blocks: blocks(p, [1, 2, 3, 4]) })]);
    await vi.waitFor(() => expect(overlap(routing, p)).toEqual({ [`${worker.id}/0`]: 4 }));
    await worker.runtime[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(routing.workers.size).toBe(1));
    expect(overlap(routing, p)).toEqual({});
    expect(routing.loads({ model: 'm', tokenIds: [] }).map(({ workerId }) => workerId)).toEqual([good.id]);
  });

  test('load reports that say nonsense change nothing', async () => {
    const { worker } = await hostile();
    const good = await cluster.worker();
    await using routing = await KvRouting.open(await cluster.connect(), parseEndpointPath(cluster.path), {
      blockSize: cluster.blockSize,
      overload: { decodeBlocks: 0.5 },
    });
    await routing.ready();
    const loads = await worker.runtime.events.publish(scope, 'kv_metrics');
    for (const report of [7, { worker_id: 'x' }, { worker_id: good.id, dp_rank: -1 }, { worker_id: 12_345, dp_rank: 0, kv_used_blocks: 9_999_999 }])
      loads.publish(encodeMsgpack(report));
    loads.publish(Uint8Array.of(0xc1));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await expect(routing.place({ model: 'm', tokenIds: p }, {})).resolves.toMatchObject({ dpRank: 0 });
    expect(routing.overload.isOverloaded(good.id)).toBe(false);
  });
});

describe('requests', () => {
  test.each([
    [{ routing: { backend_instance_id: 'x' } }, 'worker id must be a 64-bit integer'],
    [{ routing: { backend_instance_id: 1, allowed_worker_ids: [2] } }, 'pinned worker 1 is not in allowed worker set'],
    [{ extra: { router_config_override: { prefill_load_scale: -1 } } }, 'prefill_load_scale must be finite and non-negative'],
    [{ extra: { router_config_override: { assume_kv_reuse: 'yes' } } }, 'assume_kv_reuse must be true or false, got "yes"'],
  ])('%j is refused and leaves nothing behind: %s', async (more, message) => {
    await cluster.worker();
    const router = await cluster.router();
    await expect(router.reserve({ model: 'm', tokenIds: p, ...more })).rejects.toMatchObject({ code: 'invalid_argument', message });
    expect((await router.loads({ model: 'm', tokenIds: [] })).map(({ activeRequests }) => activeRequests)).toEqual([0]);
    await expect(ask(router, p)).resolves.toHaveLength(1);
  });

  test('an id that is taken is refused by name, and the first one stays', async () => {
    await cluster.worker();
    const router = await cluster.router();
    using _first = await router.reserve({ model: 'm', tokenIds: p }, { id: 'same' });
    await expect(router.reserve({ model: 'm', tokenIds: q }, { id: 'same' })).rejects.toThrow('Request same already exists');
    expect((await router.loads({ model: 'm', tokenIds: [] }))[0]?.activeRequests).toBe(1);
  });

  test('a prompt without tokens goes to somebody', async () => {
    await cluster.worker();
    const router = await cluster.router();
    await expect(router.best({ model: 'm', tokenIds: [] })).resolves.toMatchObject({ overlapBlocks: 0 });
  });
});
