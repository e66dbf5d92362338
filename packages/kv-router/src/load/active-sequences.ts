import { DynamoError } from '@dynamo/runtime';
import type { Ranks } from '../ranks.ts';
import { BlockTracker, type HeldBlocks } from './block-tracker.ts';
import type { Clock } from './clock.ts';
import { grownCounts } from './columns.ts';
import type { RunningRequest } from '../wire/router-state.ts';
import { type PrefillShare, PrefillTracker } from './prefill-tracker.ts';
import { blocksOf, type DepthMatcher, type SequenceHashes } from './sequence-table.ts';

/** How long a request counts when nobody says that it ended (spec kv-router 7, `DYN_ROUTER_ACTIVE_REQUEST_EXPIRY_SECS`). */
const defaultExpiryMs = 300_000;

/** What is booked for a request. */
export interface ActiveRequest {
  readonly id: string;
  readonly rank: number;
  /** Its complete blocks. */
  readonly sequence: SequenceHashes;
  /** Prompt tokens that the rank must still read; 0 when prefill is not tracked. */
  readonly prefillTokens: number;
  /** How long that is expected to take. */
  readonly expectedPrefillMs?: number;
}

/** The loads of all ranks, as columns over rank numbers. Read them anew for each decision: they may be replaced. */
export interface LoadColumns {
  readonly prefillTokens: Float64Array;
  readonly blocks: Float64Array;
  readonly requests: Uint32Array;
}

/** What a rank would carry with one more request (spec kv-router 7). */
export interface RankLoad {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly potentialPrefillTokens: number;
  readonly potentialDecodeBlocks: number;
  readonly activeRequests: number;
}

interface Booked {
  /** Kept only for those who tell others of it. */
  readonly sequence: SequenceHashes | undefined;
  readonly rank: number;
  readonly held: HeldBlocks;
  readonly since: number;
  share: PrefillShare | undefined;
}

/**
 * Every request that runs, and what it weighs on its rank (spec kv-router 7).
 *
 * A request counts from `add` on, before the worker hears of it: so a burst spreads.
 */
export class ActiveSequences {
  readonly #clock: Clock;
  readonly #expiryMs: number;
  readonly #blocks: BlockTracker;
  readonly #prefill = new PrefillTracker();
  #requests: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** In order of arrival: the first to expire is the first here. */
  readonly #booked = new Map<string, Booked>();
  readonly #describe: (rank: number) => string;
  readonly #ranks: Ranks;
  readonly #keeps: boolean;

  constructor(options: { clock: Clock; ranks: Ranks; expiryMs?: number; table?: DepthMatcher; keepSequences?: boolean }) {
    this.#ranks = options.ranks;
    this.#keeps = options.keepSequences ?? false;
    this.#clock = options.clock;
    this.#expiryMs = options.expiryMs ?? defaultExpiryMs;
    this.#blocks = new BlockTracker(options.table);
    this.#describe = (rank) =>
      options.ranks.has(rank)
        ? `WorkerWithDpRank { worker_id: ${options.ranks.workerIdOf(rank)}, dp_rank: ${options.ranks.dpRankOf(rank)} }`
        : `rank ${rank}`;
  }

  /** How many requests are booked. */
  get size(): number {
    return this.#booked.size;
  }

  /** How many distinct blocks are held anywhere: 0 when nothing runs. */
  get distinctBlocks(): number {
    return this.#blocks.distinct;
  }

  /** Whether a request of this id is booked. */
  has(id: string): boolean {
    return this.#booked.has(id);
  }

  /** The rank of a booked request. */
  rankOf(id: string): number | undefined {
    return this.#booked.get(id)?.rank;
  }

  /** Makes room for the ranks below `count`. */
  reach(count: number): void {
    this.#blocks.reach(count);
    this.#prefill.reach(count);
    this.#requests = grownCounts(this.#requests, count);
  }

  /** What runs, for those who begin beside us; nothing unless `keepSequences`. */
  *running(): Generator<RunningRequest> {
    for (const [id, { rank, sequence, share }] of this.#booked) {
      if (sequence === undefined) continue;
      yield { id, workerId: this.#ranks.workerIdOf(rank), dpRank: this.#ranks.dpRankOf(rank), sequence, prefillTokens: share?.tokens ?? 0 };
    }
  }

  /** The loads as of now. */
  columns(): LoadColumns {
    this.#prefill.refresh(this.#clock());
    return { prefillTokens: this.#prefill.tokens, blocks: this.#blocks.blocks, requests: this.#requests };
  }

  /**
   * Books a request.
   *
   * @throws DynamoError `invalid_argument` when a request of this id is booked already, on whichever rank.
   */
  add(request: ActiveRequest): void {
    const now = this.#clock();
    this.expire(now);
    const { id, rank } = request;
    const known = this.#booked.get(id);
    if (known !== undefined) {
      throw new DynamoError('invalid_argument', `Request ${id} already exists (assigned to worker ${this.#describe(known.rank)})`, {
        data: { request: id },
      });
    }
    this.reach(rank + 1);
    const share: PrefillShare = {
      tokens: request.prefillTokens,
      ...(request.expectedPrefillMs === undefined ? {} : { expectedMs: request.expectedPrefillMs }),
    };
    const sequence = this.#keeps ? request.sequence : undefined;
    this.#booked.set(id, { rank, held: this.#blocks.hold(request.sequence, rank), since: now, share, sequence });
    this.#prefill.add(share, rank, now);
    this.#requests[rank] = (this.#requests[rank] ?? 0) + 1;
  }

  /** The prompt has been read: its tokens no longer count. False when no such request is booked; a second time is harmless. */
  prefillDone(id: string): boolean {
    const booked = this.#booked.get(id);
    if (booked === undefined) return false;
    if (booked.share !== undefined) this.#prefill.remove(booked.share, booked.rank, this.#clock());
    booked.share = undefined;
    return true;
  }

  /** Adds an output block, and with a decay makes light what the request alone holds. False when no such request is booked. */
  addOutputBlock(id: string, decay?: number): boolean {
    const booked = this.#booked.get(id);
    if (booked !== undefined) this.#blocks.addOutput(booked.held, booked.rank, decay);
    return booked !== undefined;
  }

  /** Takes a request out. False when no such request is booked. */
  free(id: string): boolean {
    const booked = this.#booked.get(id);
    if (booked === undefined) return false;
    this.prefillDone(id);
    this.#booked.delete(id);
    this.#blocks.release(booked.held, booked.rank);
    this.#requests[booked.rank] = (this.#requests[booked.rank] ?? 0) - 1;
    return true;
  }

  /** Takes out all requests of a rank, such as one whose worker is gone; tells their ids. */
  freeRank(rank: number): string[] {
    const ids = [...this.#booked].filter(([, booked]) => booked.rank === rank).map(([id]) => id);
    for (const id of ids) this.free(id);
    return ids;
  }

  /** Takes out what is older than the limit; tells how many. Called at every `add`, and by whoever has a timer. */
  expire(now: number = this.#clock()): number {
    let expired = 0;
    for (const [id, { since }] of this.#booked) {
      if (now - since <= this.#expiryMs) break;
      this.free(id);
      expired++;
    }
    return expired;
  }

  /** Leading blocks of a sequence that all live on the rank, written by rank. */
  match(sequence: SequenceHashes, count: number, depths: Uint32Array): void {
    this.#blocks.match(sequence, count, depths);
  }

  /** What each of these ranks carries, and would carry with a prompt of this sequence. `uncached` tells the tokens that it would have to read. */
  loads(ranks: Ranks, numbers: readonly number[], prompt: { sequence: SequenceHashes; uncached: (rank: number) => number }): RankLoad[] {
    const depths = new Uint32Array(ranks.count);
    this.reach(ranks.count);
    this.match(prompt.sequence, ranks.count, depths);
    const columns = this.columns();
    return numbers.map((rank) => ({
      workerId: ranks.workerIdOf(rank),
      dpRank: ranks.dpRankOf(rank),
      potentialPrefillTokens: (columns.prefillTokens[rank] ?? 0) + prompt.uncached(rank),
      potentialDecodeBlocks: (columns.blocks[rank] ?? 0) + blocksOf(prompt.sequence) - (depths[rank] ?? 0),
      activeRequests: columns.requests[rank] ?? 0,
    }));
  }
}
