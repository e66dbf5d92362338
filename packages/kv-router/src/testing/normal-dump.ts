import type { RouterEvent } from '../wire/kv-event.ts';

/** What a dump says, block by block and in one order: two dumps of the same blocks may be cut differently. */
export function normalDump(events: readonly RouterEvent[]): string[] {
  const lines = new Set<string>();
  for (const { workerId, dpRank, tier, change } of events) {
    if (change.type !== 'stored') continue;
    let behind = change.parent;
    for (const { blockHash, tokensHash } of change.blocks) {
      lines.add(`${workerId}/${dpRank} ${tier} ${behind ?? 'root'} ${blockHash} ${tokensHash}`);
      behind = blockHash;
    }
  }
  return [...lines].toSorted();
}
