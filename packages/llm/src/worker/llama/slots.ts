import { DynamoError } from '@dynamo/runtime';
import type { HeldSequence } from './block-ledger.ts';

/** A sequence that serves one request after the other. */
export interface Slot<Sequence> {
  readonly sequence: Sequence;
  readonly held: HeldSequence;
}

interface Place<Sequence> extends Slot<Sequence> {
  busy: boolean;
  /** Number of the request that used it last. */
  used: number;
}

interface Waiting<Sequence> {
  readonly tokens: readonly number[];
  readonly start: (slot: Slot<Sequence>) => void;
}

/** Hands sequences to requests: to each, of those that are free, the one whose cache serves it best. */
export class Slots<Sequence> {
  readonly #places: readonly Place<Sequence>[];
  readonly #waiting: Waiting<Sequence>[] = [];
  readonly #mostWaiting: number;
  #requests = 0;

  constructor(slots: readonly Slot<Sequence>[], mostWaiting: number) {
    this.#places = slots.map((slot) => ({ ...slot, busy: false, used: 0 }));
    this.#mostWaiting = mostWaiting;
  }

  /** Slots that serve a request now. */
  get busy(): readonly Slot<Sequence>[] {
    return this.#places.filter(({ busy }) => busy);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Takes a sequence for a prompt, in the order of the asking; undefined when the signal came first.
   *
   * @throws DynamoError `worker_overloaded` where too many wait already.
   */
  async take(tokens: readonly number[], signal: AbortSignal): Promise<Slot<Sequence> | undefined> {
    if (signal.aborted) return undefined;
    const slot = this.#waiting.length === 0 ? this.#occupy(tokens) : undefined;
    if (slot !== undefined) return slot;
    if (this.#waiting.length >= this.#mostWaiting)
      throw new DynamoError('worker_overloaded', `${this.#waiting.length} requests wait for a sequence already`);
    return new Promise((resolve) => {
      const entry: Waiting<Sequence> = {
        tokens,
        start: (given) => {
          signal.removeEventListener('abort', leave);
          resolve(given);
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(entry), 1);
        resolve(undefined);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiting.push(entry);
    });
  }

  /** Gives a sequence back; what its cache holds stays there for whoever continues it. */
  release(slot: Slot<Sequence>): void {
    const place = this.#places.find(({ sequence }) => sequence === slot.sequence);
    if (place !== undefined) place.busy = false;
    const next = this.#waiting[0];
    if (next === undefined) return;
    const given = this.#occupy(next.tokens);
    if (given === undefined) return;
    this.#waiting.shift();
    next.start(given);
  }

  #occupy(tokens: readonly number[]): Slot<Sequence> | undefined {
    const free = this.#places.filter(({ busy }) => !busy);
    const place = choose(free, tokens);
    if (place === undefined) return undefined;
    place.busy = true;
    place.used = ++this.#requests;
    return place;
  }
}

/**
 * The sequence with the longest common beginning, where that is more than would be thrown away; else an empty one, else the one
 * that was not used for longest: a system prompt in common is no reason to forget a conversation.
 */
function choose<Sequence>(free: readonly Place<Sequence>[], tokens: readonly number[]): Place<Sequence> | undefined {
  let best: Place<Sequence> | undefined;
  let most = 0;
  for (const place of free) {
    const common = commonLength(place.held.tokens, tokens);
    if (common > most && common > place.held.tokens.length - common) {
      most = common;
      best = place;
    }
  }
  if (best !== undefined) return best;
  return free.toSorted((a, b) => Math.sign(a.held.tokens.length) - Math.sign(b.held.tokens.length) || a.used - b.used)[0];
}

/** Tokens that two sequences have in common at their beginnings. */
export function commonLength(a: readonly number[], b: readonly number[]): number {
  const end = Math.min(a.length, b.length);
  let at = 0;
  while (at < end && a[at] === b[at]) at++;
  return at;
}
