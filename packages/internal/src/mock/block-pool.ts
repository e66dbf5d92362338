import { HashTable } from './hash-table.ts';

/** Hears which blocks become visible in the cache, and which leave it. */
export interface PoolListener {
  /** The last copy of a block has gone. */
  evicted(low: number, high: number): void;
}

const none = -1;

/**
 * The KV cache of one rank: how many blocks are in use, what can be reused, and what goes first (spec mocker 4).
 *
 * A block is a number, its slot. It is private (in work), or cached under a hash with a count of its users; unused cached
 * blocks wait in order of their release until room is needed. One hash may have several slots; the oldest is found.
 */
export class BlockPool {
  readonly capacity: number;
  readonly #byHash: HashTable;
  #low: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #high: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** How many requests use a slot; a private one has 1. */
  #users: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #cached: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  /** The next younger slot of the same hash. */
  #younger: Int32Array<ArrayBuffer> = new Int32Array(0);
  /** The list of unused cached slots, from the first to go to the last. */
  #before: Int32Array<ArrayBuffer> = new Int32Array(0);
  #after: Int32Array<ArrayBuffer> = new Int32Array(0);
  #oldest = none;
  #newest = none;
  /** Slots that were given back. */
  readonly #free: number[] = [];
  /** Slots below this one have been taken at least once: memory grows with use, not with the capacity. */
  #touched = 0;
  #unused = 0;
  readonly #listener: PoolListener | undefined;

  constructor(capacity: number, listener?: PoolListener) {
    this.capacity = capacity;
    this.#listener = listener;
    this.#byHash = new HashTable(Math.min(capacity, 4_096));
  }

  /** Blocks that some request uses. */
  get active(): number {
    return this.#touched - this.#free.length - this.#unused;
  }

  /** Blocks that a new request could get: free ones and unused cached ones. */
  get available(): number {
    return this.capacity - this.active;
  }

  /** Blocks with content: used ones and cached ones. */
  get resident(): number {
    return this.#touched - this.#free.length;
  }

  /** The oldest slot with this hash, or -1. */
  find(low: number, high: number): number {
    return this.#byHash.get(low, high);
  }

  /** Whether a request uses the slot. */
  isUsed(slot: number): boolean {
    return this.#users[slot] !== 0;
  }

  /** Takes a cached slot into use by one more request. */
  reuse(slot: number): void {
    if (this.#users[slot] === 0) this.#unlink(slot);
    this.#users[slot] = (this.#users[slot] as number) + 1;
  }

  /** Takes a fresh private slot: a free one, else the unused cached one that was released first. There must be one, see `available`. */
  take(): number {
    if (this.#free.length === 0) {
      if (this.#touched < this.capacity) this.#touch();
      else this.#evict(this.#oldest);
    }
    const slot = this.#free.pop() as number;
    this.#users[slot] = 1;
    this.#cached[slot] = 0;
    return slot;
  }

  /** Makes a private slot findable; true when the hash was not to be found before. */
  publish(slot: number, low: number, high: number): boolean {
    this.#low[slot] = low;
    this.#high[slot] = high;
    this.#cached[slot] = 1;
    this.#younger[slot] = none;
    let last = this.#byHash.get(low, high);
    if (last === none) {
      this.#byHash.set(low, high, slot);
      return true;
    }
    while (this.#younger[last] !== none) last = this.#younger[last] as number;
    this.#younger[last] = slot;
    return false;
  }

  /** Gives a slot back: a private one is free, a cached one without users waits. */
  release(slot: number): void {
    const users = (this.#users[slot] as number) - 1;
    this.#users[slot] = users;
    if (users > 0) return;
    if (this.#cached[slot] === 0) this.#free.push(slot);
    else this.#link(slot);
  }

  #touch(): void {
    const slot = this.#touched++;
    this.#free.push(slot);
    if (slot < this.#low.length) return;
    const length = Math.min(this.capacity, Math.max(64, slot * 2));
    this.#low = grown(this.#low, new Uint32Array(length));
    this.#high = grown(this.#high, new Uint32Array(length));
    this.#users = grown(this.#users, new Uint32Array(length));
    this.#cached = grown(this.#cached, new Uint8Array(length));
    this.#younger = grown(this.#younger, new Int32Array(length));
    this.#before = grown(this.#before, new Int32Array(length));
    this.#after = grown(this.#after, new Int32Array(length));
  }

  #link(slot: number): void {
    this.#before[slot] = this.#newest;
    this.#after[slot] = none;
    if (this.#newest === none) this.#oldest = slot;
    else this.#after[this.#newest] = slot;
    this.#newest = slot;
    this.#unused++;
  }

  #unlink(slot: number): void {
    const before = this.#before[slot] as number;
    const after = this.#after[slot] as number;
    if (before === none) this.#oldest = after;
    else this.#after[before] = after;
    if (after === none) this.#newest = before;
    else this.#before[after] = before;
    this.#unused--;
  }

  #evict(slot: number): void {
    this.#unlink(slot);
    const low = this.#low[slot] as number;
    const high = this.#high[slot] as number;
    const first = this.#byHash.get(low, high);
    const next = this.#younger[slot] as number;
    if (first !== slot) {
      let before = first;
      while (this.#younger[before] !== slot) before = this.#younger[before] as number;
      this.#younger[before] = next;
    } else if (next !== none) this.#byHash.set(low, high, next);
    else {
      this.#byHash.delete(low, high);
      this.#listener?.evicted(low, high);
    }
    this.#free.push(slot);
  }
}

function grown<Column extends Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
