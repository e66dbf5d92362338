/**
 * The registered blocks that nobody uses, in the order in which they go: lowest priority first, then who was returned first
 * (spec block-manager 4).
 *
 * A binary heap over slots that knows each slot's place. Ticks of returns are all different, so the rest of the rule, the
 * time of the last use and the hash, never decides.
 */
export class EvictionOrder {
  readonly #heap: Int32Array;
  readonly #place: Int32Array;
  readonly #priority: Float64Array;
  readonly #tick: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#heap = new Int32Array(capacity);
    this.#place = new Int32Array(capacity).fill(-1);
    this.#priority = new Float64Array(capacity);
    this.#tick = new Float64Array(capacity);
  }

  get size(): number {
    return this.#size;
  }

  add(slot: number, priority: number, tick: number): void {
    this.#priority[slot] = priority;
    this.#tick[slot] = tick;
    this.#put(this.#size, slot);
    this.#up(this.#size++);
  }

  /** Takes out the slot that goes first, or -1. */
  takeFirst(): number {
    if (this.#size === 0) return -1;
    const slot = this.#heap[0] as number;
    this.remove(slot);
    return slot;
  }

  remove(slot: number): void {
    const at = this.#place[slot] as number;
    if (at < 0) return;
    this.#place[slot] = -1;
    const last = this.#heap[--this.#size] as number;
    if (last === slot) return;
    this.#put(at, last);
    this.#up(at);
    this.#down(this.#place[last] as number);
  }

  #before(a: number, b: number): boolean {
    const left = this.#priority[a] as number;
    const right = this.#priority[b] as number;
    return left < right || (left === right && (this.#tick[a] as number) < (this.#tick[b] as number));
  }

  #put(at: number, slot: number): void {
    this.#heap[at] = slot;
    this.#place[slot] = at;
  }

  #up(from: number): void {
    let at = from;
    const slot = this.#heap[at] as number;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const other = this.#heap[above] as number;
      if (!this.#before(slot, other)) break;
      this.#put(at, other);
      at = above;
    }
    this.#put(at, slot);
  }

  #down(from: number): void {
    let at = from;
    const slot = this.#heap[at] as number;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= this.#size) break;
      if (below + 1 < this.#size && this.#before(this.#heap[below + 1] as number, this.#heap[below] as number)) below++;
      const other = this.#heap[below] as number;
      if (!this.#before(other, slot)) break;
      this.#put(at, other);
      at = below;
    }
    this.#put(at, slot);
  }
}
