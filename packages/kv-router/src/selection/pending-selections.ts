import type { Clock } from '../load/clock.ts';

/** How long selections wait to be claimed, and how many of them. */
export interface PendingLimits {
  readonly ttlMs: number;
  readonly most: number;
}

/** Selections that were made with a name and may still be turned into a reservation; each once. */
export class PendingSelections<T> {
  readonly #limits: PendingLimits;
  readonly #clock: Clock;
  /** In the order in which they expire. */
  readonly #kept = new Map<string, { readonly value: T; readonly until: number }>();

  constructor(limits: PendingLimits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Keeps one; a newer one of the same name takes its place, and the oldest makes room. */
  put(name: string, value: T): void {
    const now = this.#clock();
    this.#kept.delete(name);
    this.#kept.set(name, { value, until: now + this.#limits.ttlMs });
    for (const [oldest, { until }] of this.#kept) {
      if (until > now && this.#kept.size <= this.#limits.most) break;
      this.#kept.delete(oldest);
    }
  }

  /** Looks at one that has not expired. */
  get(name: string): T | undefined {
    const kept = this.#kept.get(name);
    return kept === undefined || kept.until <= this.#clock() ? undefined : kept.value;
  }

  delete(name: string): void {
    this.#kept.delete(name);
  }
}
