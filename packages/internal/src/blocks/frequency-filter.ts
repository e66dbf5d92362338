/** Decides which blocks are worth a place in the next tier. */
export interface OffloadFilter {
  /** Asked once for every offer of a block that the next tier hasn't. */
  shouldOffload(sequenceHash: bigint): boolean;
}

/** Numbers of spec block-manager 5. */
const rules = { minimum: 2, decayMs: 600_000, entries: 1_000_000, most: 2 ** 32 } as const;

/** Lets through what has been offered before, and forgets slowly: counts double with each offer and fall by one every ten minutes. */
export class FrequencyFilter implements OffloadFilter {
  readonly #counts = new Map<bigint, number>();
  readonly #minimum: number;
  readonly #entries: number;
  readonly #now: () => number;
  #decayed: number;

  constructor(options: { minimum?: number; entries?: number; now?: () => number } = {}) {
    this.#minimum = options.minimum ?? rules.minimum;
    this.#entries = options.entries ?? rules.entries;
    this.#now = options.now ?? (() => performance.now());
    this.#decayed = this.#now();
  }

  /** How many hashes are remembered. */
  get size(): number {
    return this.#counts.size;
  }

  shouldOffload(sequenceHash: bigint): boolean {
    this.#catchUp();
    const before = this.#counts.get(sequenceHash);
    const count = before === undefined ? 1 : Math.min(before * 2, rules.most);
    this.#counts.set(sequenceHash, count);
    while (this.#counts.size > this.#entries) this.decay();
    return count >= this.#minimum;
  }

  /** One step of forgetting. */
  decay(): void {
    for (const [hash, count] of this.#counts) {
      if (count <= 1) this.#counts.delete(hash);
      else this.#counts.set(hash, count - 1);
    }
  }

  /** The steps that are due: no timer runs for them. */
  #catchUp(): void {
    const now = this.#now();
    while (now - this.#decayed >= rules.decayMs) {
      if (this.#counts.size > 0) {
        this.decay();
        this.#decayed += rules.decayMs;
      } else this.#decayed = now;
    }
  }
}
