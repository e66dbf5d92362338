/**
 * The ranks that a router knows, as small numbers: everything hot is an array or a bitset over them.
 *
 * A rank is one scheduler of a worker, (worker_id: u64, dp_rank: u32) on every wire (spec kv-router, head).
 */
export interface Ranks {
  /** One more than the largest number in use; numbers below it may be unused, see `has`. */
  readonly count: number;
  /** Whether the number stands for a rank now. */
  has(rank: number): boolean;
  /** The instance id of the rank's worker; throws for an unused number. */
  workerIdOf(rank: number): bigint;
  /** The data-parallel rank within its worker; throws for an unused number. */
  dpRankOf(rank: number): number;
  /** The number of a rank, if it has one. */
  find(workerId: bigint, dpRank: number): number | undefined;
}

/** Gives each rank a number when it is first seen, and takes it back when nothing refers to it any more. */
export class RankTable implements Ranks {
  readonly #workerIds: (bigint | undefined)[] = [];
  readonly #dpRanks: number[] = [];
  readonly #byWorker = new Map<bigint, number[]>();
  readonly #unused: number[] = [];

  get count(): number {
    return this.#workerIds.length;
  }

  has(rank: number): boolean {
    return this.#workerIds[rank] !== undefined;
  }

  workerIdOf(rank: number): bigint {
    const workerId = this.#workerIds[rank];
    if (workerId === undefined) throw new RangeError(`${rank} is no rank`);
    return workerId;
  }

  dpRankOf(rank: number): number {
    if (!this.has(rank)) throw new RangeError(`${rank} is no rank`);
    return this.#dpRanks[rank] ?? 0;
  }

  find(workerId: bigint, dpRank: number): number | undefined {
    return this.#byWorker.get(workerId)?.find((rank) => this.#dpRanks[rank] === dpRank);
  }

  /** The numbers of all ranks of a worker, in the order in which they were first seen. */
  ranksOf(workerId: bigint): readonly number[] {
    return this.#byWorker.get(workerId) ?? [];
  }

  /** The number of a rank, a new one if it has none: done once for a publisher, not for each event. */
  intern(workerId: bigint, dpRank: number): number {
    const known = this.find(workerId, dpRank);
    if (known !== undefined) return known;
    const rank = this.#unused.pop() ?? this.#workerIds.length;
    this.#workerIds[rank] = workerId;
    this.#dpRanks[rank] = dpRank;
    const siblings = this.#byWorker.get(workerId);
    if (siblings === undefined) this.#byWorker.set(workerId, [rank]);
    else siblings.push(rank);
    return rank;
  }

  /** Takes a number back. Everything kept under it must have been forgotten: the next rank may get it. */
  release(rank: number): void {
    const workerId = this.#workerIds[rank];
    if (workerId === undefined) return;
    const siblings = (this.#byWorker.get(workerId) ?? []).filter((sibling) => sibling !== rank);
    if (siblings.length === 0) this.#byWorker.delete(workerId);
    else this.#byWorker.set(workerId, siblings);
    this.#workerIds[rank] = undefined;
    this.#unused.push(rank);
  }
}
