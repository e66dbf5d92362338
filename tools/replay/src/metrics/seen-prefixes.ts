/** How many block hashes one generation keeps. */
const perGeneration = 1 << 19;

/**
 * What a cache without limits, shared by all workers, would have had of each prompt: the blocks that any prompt before had.
 *
 * Hashes are kept in two generations; when the newer one is full, the older one goes. So memory is bounded, and only what
 * was last seen more than half a million blocks ago counts as new.
 */
export class SeenPrefixes {
  #newer = new Set<bigint>();
  #older = new Set<bigint>();

  /** How many leading blocks were seen before; all of them are from now on. */
  take(sequence: BigUint64Array): number {
    let known = 0;
    for (const hash of sequence) {
      if (!this.#newer.has(hash) && !this.#older.has(hash)) break;
      known++;
    }
    for (const hash of sequence) this.#newer.add(hash);
    if (this.#newer.size >= perGeneration) {
      this.#older = this.#newer;
      this.#newer = new Set();
    }
    return known;
  }
}
