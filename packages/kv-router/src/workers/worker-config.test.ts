import { readFileSync } from 'node:fs';
import { decodeJson } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { RankTable } from '../ranks.ts';
import { readWorkerConfig } from './worker-config.ts';
import { WorkerSet } from './worker-set.ts';

const registrations = decodeJson(readFileSync(new URL('../../../../vectors/llm/registration/cards.json', import.meta.url), 'utf8')) as any[];
const cards = registrations.flatMap(({ name, entries }) =>
  (entries ?? []).flatMap(({ value }: any) => (value.card_json === undefined ? [] : [[name, value.card_json] as const])),
);

test.each(cards)('captured card %s is read', (_name, card) => {
  const config = readWorkerConfig(card);
  const runtime = card.runtime_config;
  expect(config).toMatchObject({
    dpStart: runtime.data_parallel_start_rank,
    dpSize: Math.max(1, runtime.data_parallel_size),
    localIndexer: runtime.enable_local_indexer,
    eagle: runtime.enable_eagle,
    role: card.worker_type,
  });
  expect([config.blockSize, config.totalKvBlocks, config.maxBatchedTokens]).toEqual([
    card.kv_cache_block_size,
    runtime.total_kv_blocks ?? undefined,
    runtime.max_num_batched_tokens ?? undefined,
  ]);
  for (const taint of runtime.taints ?? []) expect(config.taints.has(taint)).toBe(true);
});

test('everything that routing reads', () => {
  const config = readWorkerConfig({
    kv_cache_block_size: 16,
    worker_type: 'prefill',
    runtime_config: {
      data_parallel_start_rank: 2,
      data_parallel_size: 4,
      taints: ['a', 7],
      topology_domains: { zone: 'z1', rack: 5 },
      kv_transfer_domain: 'zone',
      kv_transfer_enforcement: 'preferred',
      kv_transfer_preferred_weight: 0.5,
      disaggregated_endpoint: { bootstrap_host: 'h', bootstrap_port: 9 },
      kv_state_endpoint: { namespace: 'n', component: 'c', name: 'e' },
      kv_event_source_mode: 'native',
      stable_routing_id: 's',
      enable_local_indexer: false,
    },
  });
  expect(config).toEqual({
    dpStart: 2,
    dpSize: 4,
    blockSize: 16,
    taints: new Set(['a', 'dynamo.topology/zone=z1']),
    localIndexer: false,
    eagle: false,
    role: 'prefill',
    eventSource: 'native',
    kvStateEndpoint: { namespace: 'n', component: 'c', name: 'e' },
    bootstrap: { host: 'h', port: 9 },
    stableId: 's',
    transfer: { domain: 'zone', enforcement: 'preferred', weight: 0.5, value: 'z1' },
  });
});

test.each([
  undefined,
  null,
  7,
  'x',
  [],
  {},
  { runtime_config: [] },
  { runtime_config: { data_parallel_size: -1, total_kv_blocks: 'many', taints: {}, topology_domains: 3 } },
])('an odd card %j is one plain rank', (card) => {
  expect(readWorkerConfig(card)).toEqual({ dpStart: 0, dpSize: 1, taints: new Set(), localIndexer: true, eagle: false, role: 'aggregated' });
});

test('a worker that comes back with fewer ranks tells which are gone', () => {
  const ranks = new RankTable();
  const workers = new WorkerSet(ranks);
  ranks.intern(99n, 0);
  expect(workers.put(1n, readWorkerConfig({ runtime_config: { data_parallel_size: 3, max_num_batched_tokens: 64 } }))).toEqual([]);
  workers.put(2n, readWorkerConfig({}));
  expect(workers.numbers).toEqual([1, 2, 3, 4]);
  expect(workers.ofRank(0)).toBeUndefined();
  workers.setAvailable(1n, false);
  expect(workers.put(1n, readWorkerConfig({ runtime_config: { data_parallel_size: 1, data_parallel_start_rank: 2 } }))).toEqual([1, 2]);
  expect([workers.numbers, workers.get(1n)?.available, workers.ofRank(1)]).toEqual([[3, 4], false, undefined]);
  expect([workers.maxBatchedTokens(3), workers.maxBatchedTokens(4)]).toEqual([8192, 8192]);
  expect([workers.remove(1n), workers.remove(1n), workers.size]).toEqual([[3], [], 1]);
});
