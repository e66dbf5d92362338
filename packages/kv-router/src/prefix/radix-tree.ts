import { DynamoError } from '@dynamo/runtime';
import { Core, type CoreCounts, type CoreOptions, outcome, outcomeTexts } from '../core/core.ts';
import { dumpChains } from '../core/dump.ts';
import { RankTable, type Ranks } from '../ranks.ts';

/** How many leading blocks of a prompt one rank holds. */
export interface OverlapScore {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly score: number;
}

/** Who holds how much of a prompt: read out of the answer when it is asked for. */
export class OverlapScores {
  readonly #pairs: readonly number[];
  readonly #ranks: Ranks;

  constructor(pairs: readonly number[], ranks: Ranks) {
    this.#pairs = pairs;
    this.#ranks = ranks;
  }

  /** Ranks that hold at least the first block, in no order. */
  get scores(): OverlapScore[] {
    const scores: OverlapScore[] = [];
    for (let i = 0; i < this.#pairs.length; i += 2) {
      const rank = this.#pairs[i] ?? 0;
      scores.push({ workerId: this.#ranks.workerIdOf(rank), dpRank: this.#ranks.dpRankOf(rank), score: this.#pairs[i + 1] ?? 0 });
    }
    return scores;
  }

  /** Always empty, as in 1.6.1. */
  get frequencies(): readonly number[] {
    return [];
  }
}

/** The prefix tree by itself, for those who feed it themselves (spec kv-router 3.7). */
export class RadixTree {
  readonly #core: Core;
  readonly #ranks = new RankTable();

  constructor(options: CoreOptions = {}) {
    this.#core = new Core(options);
  }

  /** How full it is. */
  get counts(): CoreCounts {
    return this.#core.counts();
  }

  /** Looks a prompt's token hashes up. With `earlyExit` a score may be too small once only one rank is left. */
  findMatches(hashes: BigUint64Array | readonly bigint[], options: { earlyExit?: boolean } = {}): OverlapScores {
    const words = hashes instanceof BigUint64Array ? hashes : BigUint64Array.from(hashes);
    return new OverlapScores(this.#core.find(words, options.earlyExit), this.#ranks);
  }

  /** Applies one event in its JSON form to a worker. What can be applied is, also when it throws. */
  applyEvent(workerId: bigint, json: Uint8Array | string): void {
    const bytes = typeof json === 'string' ? new TextEncoder().encode(json) : json;
    if (this.#core.decode(bytes, 'json') !== 1) throw notAnEvent(bytes);
    let result = this.#core.applyEventOf(0, workerId);
    if (result === undefined) {
      this.#introduce(workerId, this.#core.event(0).dpRank);
      result = this.#core.applyEventOf(0, workerId) ?? outcome.ok;
    }
    if (result === outcome.ok || result === outcome.unsupported) return;
    if (result === outcome.malformed) throw notAnEvent(bytes);
    const code = result === outcome.full ? 'resource_exhausted' : 'invalid_argument';
    throw new DynamoError(code, `Failed to apply event: ${outcomeTexts[result]}`, { data: { workerId } });
  }

  /** Forgets a worker. */
  removeWorker(workerId: bigint): void {
    for (const rank of this.#ranks.ranksOf(workerId).slice()) {
      this.#core.forgetRank(rank);
      this.#ranks.release(rank);
    }
  }

  /** Forgets a worker's blocks. */
  clearAllBlocks(workerId: bigint): void {
    for (const rank of this.#ranks.ranksOf(workerId)) this.#core.clearRank(rank);
  }

  /** The tree as the events that would build it, each a `RouterEvent` in JSON (spec kv-router 3.6). */
  dumpTreeAsEvents(): string[] {
    const events: string[] = [];
    for (const { parent, tokens, blocks, holders } of dumpChains(this.#core)) {
      const texts = Array.from(blocks, (block, i) => `{"block_hash":${block},"tokens_hash":${tokens[i]},"mm_extra_info":null}`);
      for (let i = 0; i < holders.length; i += 2) {
        const rank = holders[i] ?? 0;
        const stored = `{"parent_hash":${parent ?? null},"start_position":null,"blocks":[${texts.slice(0, holders[i + 1]).join(',')}]}`;
        const event = `{"event_id":${events.length},"data":{"stored":${stored}},"dp_rank":${this.#ranks.dpRankOf(rank)}}`;
        events.push(`{"worker_id":${this.#ranks.workerIdOf(rank)},"storage_tier":"device","residency_domain":"worker","event":${event}}`);
      }
    }
    return events;
  }

  #introduce(workerId: bigint, dpRank: number): void {
    this.#core.bindRank(this.#ranks.intern(workerId, dpRank), workerId, dpRank);
  }
}

const notAnEvent = (bytes: Uint8Array): DynamoError =>
  new DynamoError('invalid_argument', 'Failed to deserialize KvCacheEvent', { data: { bytes: bytes.length } });
