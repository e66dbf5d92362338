import type { PromptHashes } from '../hash/block-hash.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import type { TierOverlaps } from '../select/selector.ts';
import type { RankOverlap } from '../wire/overlap-scores.ts';
import type { RoutingParts } from './routing-parts.ts';

/** What each rank holds of a prompt, as the index has it. */
export function tierOverlaps(index: PrefixIndex, prompt: PromptHashes): TierOverlaps {
  const { device, hostPinned, disk, external } = index.overlaps(prompt);
  return { device, host: hostPinned, disk, external };
}

/** The same by rank, in order of workers and ranks. */
export function rankOverlaps({ index, workers, ranks }: Pick<RoutingParts, 'index' | 'workers' | 'ranks'>, prompt: PromptHashes): RankOverlap[] {
  const { device, host, disk, external } = tierOverlaps(index, prompt);
  const rows = workers.numbers.map((rank) => ({
    workerId: ranks.workerIdOf(rank),
    dpRank: ranks.dpRankOf(rank),
    device: device[rank] ?? 0,
    host: host[rank] ?? 0,
    disk: (disk[rank] ?? 0) + (external[rank] ?? 0),
  }));
  return rows.toSorted((a, b) => (a.workerId === b.workerId ? a.dpRank - b.dpRank : a.workerId < b.workerId ? -1 : 1));
}
