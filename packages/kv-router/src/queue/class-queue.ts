import { goesBefore, Heap, type HeapNode } from './heap.ts';
import { queuePolicies } from './index.ts';
import type { PolicyClass } from './policy-classes.ts';
import type { Waiting } from './queue-policy.ts';

/** One request in a queue. */
export interface Ticket<T> extends Waiting {
  readonly value: T;
  readonly isl: number;
  /** Tokens that the best rank has in its cache. */
  readonly cachedTokens: number;
  /** Where pinned requests wait by themselves, so that a busy rank holds up nobody else; undefined for all others. */
  readonly lane?: string;
}

/** What a class holds now. */
export interface QueueStats {
  requests: number;
  islTokens: number;
  cachedTokens: number;
}

/** A ticket's place in its class. */
export type Place<T> = HeapNode<Ticket<T>>;

/** The waiting requests of one class: one order for all, and one for each worker that requests are pinned to. */
export class ClassQueue<T> {
  readonly policy: PolicyClass;
  readonly stats: QueueStats = { requests: 0, islTokens: 0, cachedTokens: 0 };
  /** Credit that has been earned and not spent. */
  deficit = 0;
  readonly #lanes = new Map<string | undefined, Heap<Ticket<T>>>();
  #turn = 0;

  constructor(policy: PolicyClass) {
    this.policy = policy;
  }

  add(ticket: Ticket<T>): Place<T> {
    let lane = this.#lanes.get(ticket.lane);
    if (lane === undefined) this.#lanes.set(ticket.lane, (lane = new Heap()));
    this.#count(ticket, 1);
    return lane.add({ strictPriority: ticket.strictPriority, key: queuePolicies[this.policy.queue].key(ticket), value: ticket }, this.#turn++);
  }

  remove(place: Place<T>): void {
    const ticket = place.value;
    const lane = this.#lanes.get(ticket.lane);
    lane?.remove(place);
    if (lane?.size === 0) this.#lanes.delete(ticket.lane);
    this.#count(ticket, -1);
  }

  /** The first of the lane heads that can go now. Nobody behind a lane's head is looked at. */
  head(canGo: (ticket: Ticket<T>) => boolean): Place<T> | undefined {
    let first: Place<T> | undefined;
    for (const { head } of this.#lanes.values()) {
      if (head !== undefined && (first === undefined || goesBefore(head, first)) && canGo(head.value)) first = head;
    }
    return first;
  }

  #count(ticket: Ticket<T>, sign: 1 | -1): void {
    this.stats.requests += sign;
    this.stats.islTokens += sign * ticket.isl;
    this.stats.cachedTokens += sign * ticket.cachedTokens;
  }
}
