import type { RankTable } from '../ranks.ts';
import { defaultBatchedTokens, type WorkerConfig } from './worker-config.ts';

/** What is known of one worker now. */
export interface KnownWorker {
  readonly id: bigint;
  readonly config: WorkerConfig;
  /** Its rank numbers, in order of its data-parallel ranks. */
  readonly ranks: readonly number[];
  /** False while it is quarantined: discovered, but nothing is sent to it. */
  available: boolean;
}

/** The workers of one endpoint as routing sees them: which ranks there are, and what each can take. */
export class WorkerSet {
  readonly ranks: RankTable;
  readonly #workers = new Map<bigint, KnownWorker>();
  readonly #byRank: (KnownWorker | undefined)[] = [];
  #numbers: readonly number[] | undefined;

  constructor(ranks: RankTable) {
    this.ranks = ranks;
  }

  /** How many workers discovery shows. */
  get size(): number {
    return this.#workers.size;
  }

  /** The workers in order of arrival. */
  all(): Iterable<KnownWorker> {
    return this.#workers.values();
  }

  get(id: bigint): KnownWorker | undefined {
    return this.#workers.get(id);
  }

  /** The worker of a rank; undefined for ranks that only events have named so far. */
  ofRank(rank: number): KnownWorker | undefined {
    return this.#byRank[rank];
  }

  /** The ranks of all workers, sorted by number. */
  get numbers(): readonly number[] {
    this.#numbers ??= [...this.#workers.values()].flatMap((worker) => worker.ranks).toSorted((a, b) => a - b);
    return this.#numbers;
  }

  /** Adds a worker or takes its new configuration. Tells the ranks that it no longer has: forget them, then release their numbers. */
  put(id: bigint, config: WorkerConfig): readonly number[] {
    const before = this.#workers.get(id);
    const ranks = Array.from({ length: config.dpSize }, (_, index) => this.ranks.intern(id, config.dpStart + index));
    const worker: KnownWorker = { id, config, ranks, available: before?.available ?? true };
    const gone = (before?.ranks ?? []).filter((rank) => !ranks.includes(rank));
    for (const rank of gone) this.#byRank[rank] = undefined;
    for (const rank of ranks) this.#byRank[rank] = worker;
    this.#workers.set(id, worker);
    this.#numbers = undefined;
    return gone;
  }

  /** Takes a worker out; tells the ranks that it had. */
  remove(id: bigint): readonly number[] {
    const worker = this.#workers.get(id);
    if (worker === undefined) return [];
    for (const rank of worker.ranks) this.#byRank[rank] = undefined;
    this.#workers.delete(id);
    this.#numbers = undefined;
    return worker.ranks;
  }

  /** Puts a worker into quarantine or takes it out. */
  setAvailable(id: bigint, available: boolean): void {
    const worker = this.#workers.get(id);
    if (worker !== undefined) worker.available = available;
  }

  /** Prompt tokens that the rank takes in a step. */
  maxBatchedTokens(rank: number): number {
    return this.#byRank[rank]?.config.maxBatchedTokens ?? defaultBatchedTokens;
  }
}
