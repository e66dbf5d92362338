import { Core, outcome, outcomeTexts } from '../core/core.ts';
import { dumpChains } from '../core/dump.ts';
import { PromptHasher } from '../hash/block-hash.ts';
import { RankTable } from '../ranks.ts';
import type { RouterEvent, Tier } from '../wire/kv-event.ts';
import type { DumpableIndex } from './local-index.ts';

const tiers: readonly Tier[] = ['device', 'host_pinned', 'disk', 'external'];

/** What one worker's ranks hold, in a core of its own; the hashes of its prompts are made in the same memory. */
export class HeldBlocks implements DumpableIndex {
  readonly hasher: PromptHasher;
  readonly #core = new Core();
  readonly #ranks = new RankTable();

  constructor() {
    this.hasher = new PromptHasher(this.#core);
  }

  /** Takes one event. What the tree can't place, it leaves out, as a router would. */
  apply(event: RouterEvent): void {
    const { workerId, dpRank, change } = event;
    const rank = this.#rank(workerId, dpRank);
    const tier = tiers.indexOf(event.tier);
    if (change.type === 'cleared') this.#core.clearRank(rank);
    else if (change.type === 'removed') this.#core.remove(tier, rank, BigUint64Array.from(change.hashes));
    else {
      const tokens = BigUint64Array.from(change.blocks, ({ tokensHash }) => tokensHash);
      const blocks = BigUint64Array.from(change.blocks, ({ blockHash }) => blockHash);
      if (this.#core.store(tier, rank, change.parent, { tokens, blocks }) === outcome.full) throw new Error(outcomeTexts[outcome.full]);
    }
  }

  /** Everything held, parents before children (spec kv-router 3.6). */
  dump(): RouterEvent[] {
    const events: RouterEvent[] = [];
    for (const { parent, tokens, blocks, holders, tier } of dumpChains(this.#core)) {
      const all = Array.from(blocks, (blockHash, index) => ({ blockHash, tokensHash: tokens[index] as bigint }));
      for (let at = 0; at < holders.length; at += 2) {
        const rank = holders[at] as number;
        events.push({
          workerId: this.#ranks.workerIdOf(rank),
          dpRank: this.#ranks.dpRankOf(rank),
          tier: tiers[tier] as Tier,
          domain: 'worker',
          id: events.length,
          change: { type: 'stored', parent, blocks: all.slice(0, holders[at + 1]) },
        });
      }
    }
    return events;
  }

  #rank(workerId: bigint, dpRank: number): number {
    const known = this.#ranks.find(workerId, dpRank);
    if (known !== undefined) return known;
    const rank = this.#ranks.intern(workerId, dpRank);
    this.#core.bindRank(rank, workerId, dpRank);
    return rank;
  }
}
