import { DynamoError } from '@dynamo/runtime';
import type { TokenRequest } from '../request.ts';
import { object } from './members.ts';

/** How many leading blocks of a prompt one rank holds on each tier, only those beyond the tiers before it (spec kv-router 4). */
export interface RankOverlap {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly device: number;
  readonly host: number;
  /** On disk and further away. */
  readonly disk: number;
}

/**
 * Reads what `get_overlap_scores` is asked (spec kv-router 20).
 *
 * @throws DynamoError `invalid_argument` where the tokens are missing.
 */
export function overlapRequest(value: unknown): TokenRequest {
  const { token_ids: tokenIds, block_mm_infos: media, lora_name: lora, cache_namespace: salt } = object(value) ?? {};
  if (!Array.isArray(tokenIds)) throw new DynamoError('invalid_argument', 'token_ids must be a list of token ids');
  const text = (name: string, given: unknown): Record<string, unknown> => (typeof given === 'string' ? { [name]: given } : {});
  return {
    model: 'unknown',
    tokenIds: tokenIds as number[],
    routing: { ...text('lora_name', lora), ...text('cache_salt', salt) },
    ...(media === undefined || media === null ? {} : { extra: { mm_routing_info: { block_mm_infos: media } } }),
  };
}

/** Writes the answer, members in the order of the real one. */
export const overlapsToWire = (ranks: readonly RankOverlap[], prompt: { readonly blockSize: number; readonly blocks: number }): unknown => ({
  block_size: prompt.blockSize,
  num_blocks: prompt.blocks,
  workers: ranks.map(({ workerId, dpRank, device, host, disk }) => ({
    worker_id: workerId,
    dp_rank: dpRank,
    device_blocks: device,
    host_pinned_blocks: device + host,
    disk_blocks: device + host + disk,
    host_pinned_extension_blocks: host,
    disk_extension_blocks: disk,
    shared_beyond_device_blocks: null,
  })),
  shared_cache: { enabled: false, total_hit_blocks: 0, ranges: [], error: null },
});
