import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemStore } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import * as internal from './index.ts';
import { blockHashes, CancellationToken, Context, ModelDeploymentCard, Namespace, RadixTree } from './index.ts';

test('the door shows these values and no others', () => {
  expect(Object.keys(internal).toSorted()).toEqual([
    'BlockManager',
    'CacheSlots',
    'CancellationToken',
    'Component',
    'Connector',
    'Context',
    'Descriptor',
    'Device',
    'FixedTiming',
    'ForwardPassPublisher',
    'ForwardPassRelay',
    'ForwardPassSubscriber',
    'KvRecorder',
    'MockEngine',
    'ModelDeploymentCard',
    'ModelRuntimeConfig',
    'Namespace',
    'OverlapScores',
    'PolynomialTiming',
    'ProfileTiming',
    'RadixTree',
    'ReadOperation',
    'ReadableOperation',
    'VirtualConnectorClient',
    'VirtualConnectorCoordinator',
    'WritableOperation',
    'WriteOperation',
    'adaptLogitsProcessor',
    'applyLogitsProcessors',
    'blockHashes',
    'decodeForwardPass',
    'decodeRdmaMetadata',
    'encodeForwardPass',
    'encodeRdmaMetadata',
    'engineSettings',
    'forcedSequenceProcessor',
    'helloWorldProcessor',
    'linkSignals',
    'loraId',
    'readMockLaunch',
    'temperatureProcessor',
    'tierSizes',
  ]);
});

test('a planner counts workers, reads their cards and calls one of them, through this door and a runtime', async () => {
  const store = new MemStore();
  await using worker = await DistributedRuntime.connect({ discovery: mem(store) });
  await using served = await worker.serve<number, number>('plan.decode.generate', async function* (n, context) {
    for (let i = 0; i < n && !context.signal.aborted; i++) yield i;
  });
  const { id } = served.instance;
  const published = await worker.discovery.put({
    bucket: 'v1/mdc',
    key: `plan/decode/generate/${id.toString(16)}`,
    value: `{"type":"Model","namespace":"plan","component":"decode","endpoint":"generate","instance_id":${id},"card_json":{"display_name":"m","kv_cache_block_size":16,"runtime_config":{"max_num_seqs":4,"total_kv_blocks":10}}}`,
  });
  await using planner = await DistributedRuntime.connect({ discovery: mem(store) });
  const decode = new Namespace(planner, 'plan').component('decode');
  expect((await decode.instances()).map((instance) => instance.id)).toEqual([id]);
  const [found] = await ModelDeploymentCard.list(planner, { namespace: 'plan', component: 'decode' });
  expect(found).toMatchObject({ instance: id, card: { name: 'm', runtimeConfig: { options: { sequences: 4, kvBlocks: 10 } } } });
  expect(found?.card.runtimeConfig.kvTokens(found.card.blockSize)).toBe(160);

  const token = CancellationToken.from(planner.signal);
  const context = new Context({ id: 'probe' });
  token.signal.addEventListener('abort', () => context.stop(), { once: true });
  await using client = await planner.client<number, number>(decode.endpoint('generate'));
  await client.ready();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of client.generate(1_000_000, context.callOptions())) {
      seen.push(item);
      token.cancel();
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled', data: { kind: 'stop' } });
  expect(seen[0]).toBe(0);

  const abort = new AbortController();
  const counts: number[] = [];
  for await (const instances of decode.watch({ signal: abort.signal })) {
    counts.push(instances.length);
    if (instances.length === 0) abort.abort();
    else await served[Symbol.asyncDispose]();
  }
  expect(counts).toEqual([1, 0]);
  await published[Symbol.asyncDispose]();
  expect(await ModelDeploymentCard.list(planner, { namespace: 'plan' })).toEqual([]);
});

test('a prefix tree fed by hand answers for the hashes of a prompt', () => {
  const tree = new RadixTree();
  const [first, second] = blockHashes([1, 2, 3, 4, 5], { blockSize: 2 });
  const blocks = [first, second].map((hash, i) => `{"block_hash":${i + 1},"tokens_hash":${hash}}`);
  tree.applyEvent(9n, `{"event_id":1,"dp_rank":1,"data":{"stored":{"parent_hash":null,"blocks":[${blocks.join(',')}]}}}`);
  const asked = blockHashes([1, 2, 3, 4, 6, 7], { blockSize: 2 });
  expect(tree.findMatches(asked).scores).toEqual([{ workerId: 9n, dpRank: 1, score: 2 }]);
  expect(tree.dumpTreeAsEvents()).toEqual([
    `{"worker_id":9,"storage_tier":"device","residency_domain":"worker","event":{"event_id":0,"data":{"stored":{"parent_hash":null,"start_position":null,"blocks":[${blocks.map((block) => block.replace('}', ',"mm_extra_info":null}')).join(',')}]}},"dp_rank":1}}`,
  ]);
  expect(() => tree.applyEvent(9n, '{"event_id":2}')).toThrow('Failed to deserialize KvCacheEvent');
  expect(() => tree.applyEvent(9n, '{"event_id":2,"data":{"removed":{"block_hashes":[77]}}}')).toThrow('Failed to apply event: Failed to find block');
  tree.removeWorker(9n);
  expect(tree.findMatches(asked).scores).toEqual([]);
});
