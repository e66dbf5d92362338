import { Core, type CoreOptions, eventKind, outcome } from '../core/core.ts';
import { type DumpedChain, dumpChains } from '../core/dump.ts';
import type { PromptHashes } from '../hash/block-hash.ts';
import type { RankTable } from '../ranks.ts';
import type { KvChange, RouterEvent, Tier } from '../wire/kv-event.ts';
import { DecodedBatch } from './decoded-batch.ts';
import type { KeptDecision, RankChain } from '../wire/router-state.ts';
import type { EventBatch, EventCounts, IndexCounts, Overlaps } from './prefix-index.ts';

const tiers: readonly Tier[] = ['device', 'host_pinned', 'disk', 'external'];

/** One core with the ranks of a table: what the indexes have in common. */
export class HeldIndex {
  readonly core: Core;
  readonly ranks: RankTable;
  readonly #bound = new Set<number>();
  /** By outcome, one row for each kind of event. */
  readonly #outcomes: readonly number[][] = Object.values(eventKind).map(() => Object.values(outcome).map(() => 0));
  readonly #batch: DecodedBatch;

  constructor(ranks: RankTable, size: CoreOptions = {}) {
    this.ranks = ranks;
    this.core = new Core(size);
    this.#batch = new DecodedBatch(this.core, {
      rankOf: (workerId, dpRank) => this.bind(this.ranks.intern(workerId, dpRank)),
      note: (kind, result) => this.#note(kind, result),
    });
  }

  /** Makes a rank's number known to the core. */
  bind(rank: number): number {
    if (!this.#bound.has(rank)) {
      this.core.bindRank(rank, this.ranks.workerIdOf(rank), this.ranks.dpRankOf(rank));
      this.#bound.add(rank);
    }
    return rank;
  }

  overlaps(prompt: PromptHashes): Overlaps {
    const { core } = this;
    core.expectRanks(this.ranks.count);
    core.findTiersAt(core.writeHashes(prompt.local), prompt.local.length);
    return { device: core.tier(0), hostPinned: core.tier(1), disk: core.tier(2), external: core.tier(3) };
  }

  decode(bytes: Uint8Array, format: 'msgpack' | 'json'): EventBatch {
    this.#batch.length = this.core.decode(bytes, format);
    return this.#batch;
  }

  apply({ workerId, dpRank, tier, change }: RouterEvent): number {
    return this.#note(eventKind[change.type], this.#change(this.bind(this.ranks.intern(workerId, dpRank)), tiers.indexOf(tier), change));
  }

  #change(rank: number, tier: number, change: KvChange): number {
    if (change.type === 'removed') return this.core.remove(tier, rank, BigUint64Array.from(change.hashes));
    if (change.type === 'cleared') {
      this.core.clearRank(rank);
      return outcome.ok;
    }
    const tokens = BigUint64Array.from(change.blocks, ({ tokensHash }) => tokensHash);
    const blocks = BigUint64Array.from(change.blocks, ({ blockHash }) => blockHash);
    return this.core.store(tier, rank, change.parent, { tokens, blocks });
  }

  #note(kind: number, result: number): number {
    const row = this.#outcomes[kind];
    if (row !== undefined) row[result] = (row[result] ?? 0) + 1;
    return result;
  }

  clear(rank: number): void {
    this.core.clearRank(rank);
  }

  forget(rank: number): void {
    this.core.forgetRank(rank);
    this.#bound.delete(rank);
  }

  dump(): RouterEvent[] {
    const events: RouterEvent[] = [];
    for (const { tier, parent, tokens, blocks, holders } of dumpChains(this.core)) {
      const chain = Array.from(blocks, (blockHash, i) => ({ blockHash, tokensHash: tokens[i] ?? 0n }));
      for (let i = 0; i < holders.length; i += 2) {
        const rank = holders[i] ?? 0;
        events.push({
          workerId: this.ranks.workerIdOf(rank),
          dpRank: this.ranks.dpRankOf(rank),
          tier: tiers[tier] ?? 'device',
          domain: 'worker',
          id: events.length,
          change: { type: 'stored', parent, blocks: chain.slice(0, holders[i + 1]) },
        });
      }
    }
    return events;
  }

  chains(): Iterable<DumpedChain> {
    return dumpChains(this.core);
  }

  restore({ workerId, dpRank, tier, parent, tokens, blocks }: RankChain): number {
    return this.core.store(tier, this.bind(this.ranks.intern(workerId, dpRank)), parent, { tokens, blocks });
  }

  decisions(): Iterable<KeptDecision> {
    return [];
  }

  remember(_decision: KeptDecision): void {}

  counts(): IndexCounts {
    const rows = this.#outcomes;
    const all = rows[0]?.map((_, result) => rows.reduce((sum, row) => sum + (row[result] ?? 0), 0)) ?? [];
    const { stored, removed, cleared } = eventKind;
    const byType = { stored: countsOf(rows[stored]), removed: countsOf(rows[removed]), cleared: countsOf(rows[cleared]) };
    return { ...this.core.counts(), events: countsOf(all), byType };
  }
}

function countsOf(row: readonly number[] = []): EventCounts {
  const [ok = 0, noParent = 0, badSequence = 0, noBlock = 0, full = 0, malformed = 0, unsupported = 0] = row;
  return { ok, noParent, badSequence, noBlock, full, malformed, unsupported };
}
