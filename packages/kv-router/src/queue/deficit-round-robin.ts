import type { ClassQueue, Place, Ticket } from './class-queue.ts';

/** What was chosen: the class by its number, and the place to take out of it. */
export interface Turn<T> {
  readonly at: number;
  readonly place: Place<T>;
}

/**
 * Shares the capacity among classes by their quanta, counted in uncached tokens and not in requests (spec kv-router 9).
 *
 * A class is given one quantum a round; what it saves pays for larger requests or for several small ones in a row.
 * Rounds in which nobody could pay are skipped in one step, so that a choice never takes longer for long prompts.
 */
export class DeficitRoundRobin<T> {
  readonly #classes: readonly ClassQueue<T>[];
  #cursor = 0;

  constructor(classes: readonly ClassQueue<T>[]) {
    this.#classes = classes;
  }

  /** Takes out the request that goes next; undefined when none can. */
  next(canGo: (at: number, ticket: Ticket<T>) => boolean): Turn<T> | undefined {
    const heads = this.#classes.map((queue, at) => queue.head((ticket) => canGo(at, ticket)));
    return this.#round(heads, true, canGo) ?? (this.#skip(heads) ? this.#round(heads, false, canGo) : undefined);
  }

  #round(heads: readonly (Place<T> | undefined)[], earns: boolean, canGo: (at: number, ticket: Ticket<T>) => boolean): Turn<T> | undefined {
    const count = this.#classes.length;
    for (let step = 0; step < count; step++) {
      const at = (this.#cursor + step) % count;
      const queue = this.#classes[at];
      const place = heads[at];
      if (queue === undefined) continue;
      if (queue.stats.requests === 0) queue.deficit = 0;
      if (place === undefined) continue;
      if (earns && queue.deficit < place.value.cost) queue.deficit += queue.policy.quantum;
      if (queue.deficit >= place.value.cost) return this.#take(at, place, canGo);
    }
    return undefined;
  }

  /** Gives every class whose head can go as many quanta as the nearest of them needs. */
  #skip(heads: readonly (Place<T> | undefined)[]): boolean {
    let rounds = Infinity;
    for (const [at, queue] of this.#classes.entries()) {
      const place = heads[at];
      if (place !== undefined) rounds = Math.min(rounds, Math.ceil((place.value.cost - queue.deficit) / queue.policy.quantum));
    }
    if (rounds === Infinity) return false;
    for (const [at, queue] of this.#classes.entries()) if (heads[at] !== undefined) queue.deficit += queue.policy.quantum * rounds;
    return true;
  }

  #take(at: number, place: Place<T>, canGo: (at: number, ticket: Ticket<T>) => boolean): Turn<T> {
    const queue = this.#classes[at] as ClassQueue<T>;
    queue.deficit -= place.value.cost;
    queue.remove(place);
    if (queue.stats.requests === 0) queue.deficit = 0;
    const next = queue.head((ticket) => canGo(at, ticket));
    this.#cursor = next !== undefined && queue.deficit >= next.value.cost ? at : (at + 1) % this.#classes.length;
    return { at, place };
  }
}
