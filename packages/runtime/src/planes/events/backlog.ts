import type { EventChange } from './event-plane.ts';

/** What is left of the changes of one publisher that were dropped: as much as a reader must know. */
interface Remains {
  joined: boolean;
  left: boolean;
  gap: { from: number; to: number } | undefined;
}

/**
 * Changes that wait for their reader, at most so many.
 *
 * Past the limit the oldest make room, and what they told is folded into one `left`, `joined` and `gap` for each publisher,
 * which the reader finds in front of the changes that were kept.
 */
export class Backlog {
  readonly #capacity: number;
  readonly #remains = new Map<bigint, Remains>();
  #changes: EventChange[] = [];
  /** Where the kept ones begin: moving them at every drop would cost their number. */
  #start = 0;

  constructor(capacity: number) {
    this.#capacity = Math.max(1, capacity);
  }

  get empty(): boolean {
    return this.#changes.length === this.#start && this.#remains.size === 0;
  }

  /** Adds a change; returns how many events were dropped for it, 0 or 1. */
  add(change: EventChange): number {
    this.#changes.push(change);
    if (this.#changes.length - this.#start <= this.#capacity) return 0;
    const oldest = this.#changes[this.#start++] as EventChange;
    if (this.#start > this.#capacity) {
      this.#changes = this.#changes.slice(this.#start);
      this.#start = 0;
    }
    this.#fold(oldest);
    return oldest.type === 'event' ? 1 : 0;
  }

  /** Everything that waits, in its order; empties the backlog. */
  take(): readonly EventChange[] {
    const kept = this.#start === 0 ? this.#changes : this.#changes.slice(this.#start);
    this.#changes = [];
    this.#start = 0;
    if (this.#remains.size === 0) return kept;
    const told = [...this.#remains].flatMap(([publisher, remains]) => unfold(publisher, remains));
    this.#remains.clear();
    return told.concat(kept);
  }

  #fold(change: EventChange): void {
    const known = this.#remains.get(change.publisher);
    const remains = known ?? { joined: false, left: false, gap: undefined };
    if (known === undefined) this.#remains.set(change.publisher, remains);
    if (change.type === 'joined') {
      remains.joined = true;
      remains.gap = undefined;
    } else if (change.type === 'left') {
      remains.left = true;
      remains.joined = false;
      remains.gap = undefined;
    } else {
      const { from, to } = change.type === 'gap' ? change : { from: change.sequence, to: change.sequence + 1 };
      remains.gap = { from: remains.gap?.from ?? from, to };
    }
  }
}

function unfold(publisher: bigint, remains: Remains): EventChange[] {
  const told: EventChange[] = [];
  if (remains.left) told.push({ type: 'left', publisher });
  if (remains.joined) told.push({ type: 'joined', publisher });
  if (remains.gap !== undefined) told.push({ type: 'gap', publisher, ...remains.gap });
  return told;
}
