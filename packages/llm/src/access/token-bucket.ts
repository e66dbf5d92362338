const minuteMs = 60_000;

/** An allowance of so many a minute that fills up evenly; a full one may be spent at once. */
export class TokenBucket {
  readonly perMinute: number;
  readonly #now: () => number;
  #level: number;
  #at: number;

  /** `now` gives milliseconds of a clock that never goes back. */
  constructor(perMinute: number, now: () => number) {
    this.perMinute = perMinute;
    this.#now = now;
    this.#level = perMinute;
    this.#at = now();
  }

  /** What is left now; below 0 after more was spent than had been reserved. */
  get left(): number {
    const now = this.#now();
    this.#level = Math.min(this.perMinute, this.#level + ((now - this.#at) * this.perMinute) / minuteMs);
    this.#at = now;
    return this.#level;
  }

  /** Takes an amount if all of it is there. */
  take(amount: number): boolean {
    if (this.left < amount) return false;
    this.#level -= amount;
    return true;
  }

  /** Gives an amount back, or takes what was spent beyond the reservation when it is negative. */
  give(amount: number): void {
    this.#level = Math.min(this.perMinute, this.left + amount);
  }

  /** How long until an amount is there, in milliseconds; `Infinity` where it never will be. */
  waitMs(amount: number): number {
    if (amount > this.perMinute) return Infinity;
    return Math.max(0, ((amount - this.left) / this.perMinute) * minuteMs);
  }
}
