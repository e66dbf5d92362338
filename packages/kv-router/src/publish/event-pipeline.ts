import { BlockCopies } from './block-copies.ts';
import type { KvChange, RouterEvent, StoredBlock, Tier } from '../wire/kv-event.ts';

/** One change of one rank and tier, before it has a number. */
export interface PendingChange {
  readonly dpRank: number;
  readonly tier: Tier;
  readonly change: KvChange;
  readonly sessionId?: string;
}

/** Most events and blocks of one message (spec kv-router 15). */
const messageLimits = { events: 128, blocks: 8_192 } as const;

/**
 * Merges, counts and numbers the changes of one worker before they are published (spec kv-router 15).
 *
 * Engines cache one block several times: a removal is passed on when the last copy has gone, so that routers never hear of
 * the removal of something that is still there.
 */
export class EventPipeline {
  readonly #workerId: bigint;
  readonly #copies = new BlockCopies();
  #next = 1;

  constructor(workerId: bigint) {
    this.#workerId = workerId;
  }

  /** The number of the newest event; 0 before the first. */
  get lastId(): number {
    return this.#next - 1;
  }

  /** What one list of changes becomes. */
  push(changes: readonly PendingChange[]): RouterEvent[] {
    return merge(changes).flatMap((pending) => {
      const change = this.#count(pending);
      if (change === undefined) return [];
      const { dpRank, tier, sessionId } = pending;
      const session = sessionId === undefined ? {} : { sessionId };
      return [{ workerId: this.#workerId, dpRank, tier, domain: 'worker' as const, id: this.#next++, change, ...session }];
    });
  }

  #count({ dpRank, tier, change }: PendingChange): KvChange | undefined {
    if (change.type === 'cleared') {
      this.#copies.clear(dpRank);
      return change;
    }
    if (change.type === 'stored') {
      const { blocks } = change;
      const hashes = new BigUint64Array(blocks.length);
      for (let at = 0; at < blocks.length; at++) hashes[at] = (blocks[at] as StoredBlock).blockHash;
      this.#copies.add(hashes, dpRank, tier);
      return change;
    }
    const gone = this.#copies.remove(change.hashes, dpRank, tier);
    return gone.length === 0 ? undefined : { type: 'removed', hashes: gone };
  }
}

/** Neighbours of one rank and tier become one change: a chain of stores, or removals. */
function merge(changes: readonly PendingChange[]): PendingChange[] {
  const out: PendingChange[] = [];
  for (const next of changes) {
    const last = out.at(-1);
    const joined = last !== undefined && alike(last, next) ? join(last.change, next.change) : undefined;
    if (joined === undefined) out.push(next);
    else out[out.length - 1] = { ...next, change: joined };
  }
  return out;
}

const alike = (last: PendingChange, next: PendingChange): boolean =>
  last.dpRank === next.dpRank && last.tier === next.tier && last.sessionId === next.sessionId;

function join(last: KvChange, next: KvChange): KvChange | undefined {
  if (last.type === 'removed' && next.type === 'removed') return { type: 'removed', hashes: [...last.hashes, ...next.hashes] };
  if (last.type !== 'stored' || next.type !== 'stored') return undefined;
  const tail: StoredBlock | undefined = last.blocks.at(-1);
  if (tail === undefined || next.parent !== tail.blockHash || last.blocks.length + next.blocks.length > messageLimits.blocks) return undefined;
  return { ...last, blocks: [...last.blocks, ...next.blocks] };
}

/** Cuts a list of events into messages of at most 128 events and, unless one event is larger, 8 192 blocks. */
export function toMessages(events: readonly RouterEvent[]): RouterEvent[][] {
  const out: RouterEvent[][] = [];
  let blocks = 0;
  for (const event of events) {
    const size = sizeOf(event.change);
    const last = out.at(-1);
    if (last === undefined || last.length === messageLimits.events || blocks + size > messageLimits.blocks) {
      out.push([event]);
      blocks = size;
    } else {
      last.push(event);
      blocks += size;
    }
  }
  return out;
}

const sizeOf = (change: KvChange): number => (change.type === 'stored' ? change.blocks.length : change.type === 'removed' ? change.hashes.length : 0);
