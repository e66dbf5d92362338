import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { Core } from '../core/core.ts';
import { PromptHasher } from '../hash/block-hash.ts';
import { RankTable } from '../ranks.ts';
import type { KvChange, Tier } from '../wire/kv-event.ts';
import { EventIndex } from './event-index.ts';

const scenarios: any[] = readFileSync(new URL('../../../../vectors/kv-router/worker_selection.jsonl', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line))
  .filter(({ ops }) => ops.some(({ op }: any) => op === 'overlap_scores'));

const tierOf: Record<string, Tier> = { CPU: 'host_pinned', DISK: 'disk', EXTERNAL: 'external' };
const big = (value: unknown): bigint => BigInt.asUintN(64, BigInt(value as string));

test.each(scenarios.map((scenario) => [scenario.scenario, scenario] as const))('overlaps on all tiers, scenario %s', (_name, { ops }) => {
  const ranks = new RankTable();
  const index = new EventIndex({ ranks, clock: () => 0 });
  const hasher = new PromptHasher(new Core());
  const change = (event: any): KvChange => {
    if (event.type === 'AllBlocksCleared') return { type: 'cleared' };
    if (event.type === 'BlockRemoved') return { type: 'removed', hashes: event.block_hashes.map(big) };
    const { local } = hasher.hashes(event.token_ids, { blockSize: event.block_size, lora: event.lora_name, salt: event.cache_salt });
    const blocks = event.block_hashes.map((hash: unknown, i: number) => ({ blockHash: big(hash), tokensHash: local[i] }));
    return { type: 'stored', parent: event.parent_block_hash === null ? undefined : big(event.parent_block_hash), blocks };
  };
  let checked = 0;
  for (const { op, worker_id, dp_rank, event, request, result } of ops) {
    if (op === 'kv_event') {
      index.apply({ workerId: BigInt(worker_id), dpRank: dp_rank, tier: tierOf[event.medium ?? ''] ?? 'device', id: 1, change: change(event) });
    } else if (op === 'overlap_scores') {
      const prompt = hasher.hashes(request.token_ids, { blockSize: result.block_size, lora: request.lora_name, salt: request.cache_salt });
      for (const row of result.workers) ranks.intern(BigInt(row.worker_id), row.dp_rank);
      const { device, hostPinned, disk, external } = index.overlaps(prompt);
      for (const row of result.workers) {
        const rank = ranks.find(BigInt(row.worker_id), row.dp_rank)!;
        expect([device[rank], hostPinned[rank], disk[rank]! + external[rank]!]).toEqual([
          row.device_blocks,
          row.host_pinned_extension_blocks,
          row.disk_extension_blocks,
        ]);
        checked++;
      }
    }
  }
  expect(checked).toBeGreaterThan(0);
});
