import type { RankTable } from '../ranks.ts';
import { defaultBatchedTokens, type WorkerConfig } from './worker-config.ts';

/** What is known of one worker now. */
export interface KnownWorker {
  readonly id: bigint;
  readonly config: WorkerConfig;
  /** Its rank numbers, in order of its data-parallel ranks. */
  readonly ranks: readonly number[];
  /** False while it is quarantined: discovered, but nothing is sent to it. */
  readonly available: boolean;
}

/** Who is told of changes, just before they count. */
export interface WorkerObserver {
  put(id: bigint, config: WorkerConfig): void;
  removed(id: bigint): void;
  available(id: bigint, available: boolean): void;
}

/** The workers of one endpoint as routing sees them: which ranks there are, and what each can take. */
export class WorkerSet {
  readonly ranks: RankTable;
  readonly #observer: WorkerObserver | undefined;
  readonly #workers = new Map<bigint, KnownWorker>();
  readonly #byRank: (KnownWorker | undefined)[] = [];
  #numbers: readonly number[] | undefined;
  #open: Uint32Array | undefined;

  constructor(ranks: RankTable, observer?: WorkerObserver) {
    this.ranks = ranks;
    this.#observer = observer;
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

  /** The ranks of workers that are not in quarantine: who may take a request that asks for nothing special. */
  get open(): Uint32Array {
    this.#open ??= Uint32Array.from(this.numbers.filter((rank) => this.#byRank[rank]?.available === true));
    return this.#open;
  }

  /** Adds a worker or takes its new configuration. Tells the ranks that it no longer has: forget them, then release their numbers. */
  put(id: bigint, config: WorkerConfig): readonly number[] {
    this.#observer?.put(id, config);
    const before = this.#workers.get(id);
    const ranks = Array.from({ length: config.dpSize }, (_, index) => this.ranks.intern(id, config.dpStart + index));
    const gone = (before?.ranks ?? []).filter((rank) => !ranks.includes(rank));
    for (const rank of gone) this.#byRank[rank] = undefined;
    this.#set({ id, config, ranks, available: before?.available ?? true });
    return gone;
  }

  /** Takes a worker out; tells the ranks that it had. */
  remove(id: bigint): readonly number[] {
    const worker = this.#workers.get(id);
    if (worker === undefined) return [];
    this.#observer?.removed(id);
    for (const rank of worker.ranks) this.#byRank[rank] = undefined;
    this.#workers.delete(id);
    this.#changed();
    return worker.ranks;
  }

  /** Puts a worker into quarantine or takes it out. */
  setAvailable(id: bigint, available: boolean): void {
    const worker = this.#workers.get(id);
    if (worker === undefined || worker.available === available) return;
    this.#observer?.available(id, available);
    this.#set({ ...worker, available });
  }

  /** Prompt tokens that the rank takes in a step. */
  maxBatchedTokens(rank: number): number {
    return this.#byRank[rank]?.config.maxBatchedTokens ?? defaultBatchedTokens;
  }

  #set(worker: KnownWorker): void {
    for (const rank of worker.ranks) this.#byRank[rank] = worker;
    this.#workers.set(worker.id, worker);
    this.#changed();
  }

  #changed(): void {
    this.#numbers = undefined;
    this.#open = undefined;
  }
}
