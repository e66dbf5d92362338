import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemStore, parseEndpointPath } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { KvPublisher } from '../kv-publisher.ts';
import { prefixIndexes } from '../prefix/index.ts';
import { RankTable } from '../ranks.ts';
import { type KvSink, KvSources } from './kv-sources.ts';

const path = 'demo.backend.generate';
let stack: AsyncDisposableStack;
let store: MemStore;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  store = new MemStore();
});
afterEach(() => stack.disposeAsync());

const connect = async (): Promise<DistributedRuntime> => stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));

/** A worker that publishes, and the blocks 1, 2, 3 … of one prompt. */
async function worker() {
  const runtime = await connect();
  const publisher = await KvPublisher.open(runtime, path, { blockSize: 4 });
  const store = (from: number, to: number): void =>
    publisher.stored({
      tokenIds: Array.from({ length: (to - from + 1) * 4 }, (_, index) => (from - 1) * 4 + index),
      hashes: Array.from({ length: to - from + 1 }, (_, index) => BigInt(from + index)),
      ...(from === 1 ? {} : { parent: BigInt(from - 1) }),
    });
  return { runtime, publisher, store, id: runtime.discovery.instanceId };
}

/** A router's ear with an index behind it. */
async function router() {
  const ranks = new RankTable();
  const index = prefixIndexes.events({ ranks, clock: () => 0 });
  const sink: KvSink = {
    decode: (payload) => index.decode(payload, 'msgpack'),
    apply: (event) => void index.apply(event),
    reset: (workerId, dpRank) => {
      const rank = ranks.find(workerId, dpRank);
      if (rank !== undefined) index.clear(rank);
    },
    hasRank: (_workerId, dpRank) => dpRank < 2,
  };
  const sources = stack.use(new KvSources(await connect(), parseEndpointPath(path), { sink }));
  const blocks = (id: bigint): number[] =>
    index
      .dump()
      .flatMap(({ workerId, change }) => (workerId === id && change.type === 'stored' ? change.blocks : []))
      .map(({ blockHash }) => Number(blockHash))
      .toSorted((a, b) => a - b);
  return { sources, index, blocks };
}

test('a router hears what a worker stores and removes, and forgets it when the publisher goes', async () => {
  const { publisher, store: put, id } = await worker();
  const { blocks, sources } = await router();
  await vi.waitFor(() => expect(sources.reports()).toMatchObject([{ workerId: id, dpRank: 0, state: 'live', cursor: 0 }]));
  put(1, 3);
  await vi.waitFor(() => expect(blocks(id)).toEqual([1, 2, 3]));
  publisher.removed([3n]);
  await vi.waitFor(() => expect(blocks(id)).toEqual([1, 2]));
  publisher.cleared();
  await vi.waitFor(() => expect(blocks(id)).toEqual([]));
  put(1, 1);
  await vi.waitFor(() => expect(blocks(id)).toEqual([1]));
  await publisher[Symbol.asyncDispose]();
  await vi.waitFor(() => expect([blocks(id), sources.reports()]).toEqual([[], []]));
});

test('a router that comes late is told everything, also of two workers', async () => {
  const first = await worker();
  const second = await worker();
  first.store(1, 40);
  first.publisher.removed([40n]);
  second.store(1, 2);
  const { blocks } = await router();
  await vi.waitFor(() => expect([blocks(first.id).length, blocks(second.id).length]).toEqual([39, 2]));
  first.store(40, 45);
  await vi.waitFor(() => expect(blocks(first.id).length).toBe(45));
});

test('a publisher that begins anew replaces the old one', async () => {
  const { runtime, publisher, store: put, id } = await worker();
  const { blocks } = await router();
  put(1, 3);
  await vi.waitFor(() => expect(blocks(id)).toEqual([1, 2, 3]));
  await publisher[Symbol.asyncDispose]();
  const again = await KvPublisher.open(runtime, path, { blockSize: 4 });
  again.stored({ tokenIds: [0, 1, 2, 3], hashes: [1n] });
  await vi.waitFor(() => expect(blocks(id)).toEqual([1]));
});

test.each([
  [{ blockSize: 0 }, 'kv_block_size cannot be 0'],
  [{ blockSize: 1.5 }, 'blockSize must be a count above 0, got 1.5'],
  [{ blockSize: 4, dpRank: -1 }, 'dpRank must be a 32-bit count, got -1'],
  [{ blockSize: 4, source: { zmq: 'not an address' } }, "source.zmq 'not an address' is no address that ZMQ can connect to"],
])('options %o are refused: %s', async (options, message) => {
  const runtime = await connect();
  await expect(KvPublisher.open(runtime, path, options)).rejects.toMatchObject({ code: 'invalid_argument', message });
  expect(await runtime.discovery.list({ bucket: 'v1/event_sources' })).toEqual([]);
});

test('a relaying publisher takes no events by hand, and a load report needs a measure', async () => {
  const publisher = await KvPublisher.open(await connect(), path, { blockSize: 4, source: { zmq: 'tcp://127.0.0.1:1' } });
  expect(() => publisher.cleared()).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(() => publisher.load({})).toThrow('worker metrics publish requires at least one load metric');
  expect(() => publisher.load({ kvUsedBlocks: -1 })).toThrow('kvUsedBlocks must be a count, got -1');
});
