import { grownCounts } from './columns.ts';

/** Sequence hashes as the core leaves them in memory: two 32-bit words each, the low one first. */
export type SequenceHashes = Uint32Array;

/** How many blocks a sequence has. */
export const blocksOf = (sequence: SequenceHashes): number => sequence.length >>> 1;

/** The same hashes as 64-bit integers, for messages. */
export function toBigints(sequence: SequenceHashes): bigint[] {
  const hashes: bigint[] = [];
  for (let at = 0; at < sequence.length; at += 2) hashes.push((BigInt(sequence[at + 1] ?? 0) << 32n) | BigInt(sequence[at] ?? 0));
  return hashes;
}

/** The hashes of a message in the form in which they are kept. */
export function fromBigints(hashes: readonly bigint[]): SequenceHashes {
  const sequence = new Uint32Array(hashes.length * 2);
  for (const [index, hash] of hashes.entries()) {
    sequence[index * 2] = Number(hash & 0xffff_ffffn);
    sequence[index * 2 + 1] = Number((hash >> 32n) & 0xffff_ffffn);
  }
  return sequence;
}

/** Which ranks hold which blocks: what load tracking asks of a table, whoever keeps it. */
export interface DepthMatcher {
  /** Counts one more holder of every block on the rank, and tells where each is kept: good until it is let go of. */
  hold(sequence: SequenceHashes, rank: number, told: (entry: number, fresh: boolean) => void): Uint32Array;
  /** Takes the holders back; `died` hears of the blocks that the rank no longer has. */
  release(entries: Uint32Array, rank: number, died: (entry: number) => void): void;
  /** How often the rank holds the block at this entry. */
  holders(entry: number, rank: number): number;
  /** Writes for each rank below `count` how many leading blocks all live on it (spec kv-router 7). */
  match(sequence: SequenceHashes, count: number, depths: Uint32Array): void;
  /** Blocks that some rank holds. */
  readonly size: number;
}

/** Most ranks that one table can tell apart. */
export const maxRanks = 0x1_0000;

/**
 * One open-addressing table from sequence hash to a bitset of ranks; counts above one stand aside.
 *
 * Matching walks the bitsets with AND until no rank is left, so that its time hardly depends on how many ranks there are
 * (a map for each rank takes tens of times as long with 512 ranks).
 */
export class SequenceTable implements DepthMatcher {
  #slots = new Int32Array(64);
  #low: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  #high: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  #bits: Uint32Array<ArrayBuffer> = new Uint32Array(64);
  /** Words of one bitset. */
  #stride = 1;
  #active: Uint32Array<ArrayBuffer> = new Uint32Array(1);
  readonly #free: number[] = [];
  #used = 0;
  #size = 0;
  /** Holders beyond the first, by entry and rank. */
  readonly #more = new Map<number, number>();

  get size(): number {
    return this.#size;
  }

  hold(sequence: SequenceHashes, rank: number, told: (entry: number, fresh: boolean) => void): Uint32Array {
    this.#reach(rank);
    const blocks = blocksOf(sequence);
    const entries = new Uint32Array(blocks);
    const word = rank >>> 5;
    const bit = 1 << (rank & 31);
    for (let block = 0; block < blocks; block++) {
      const entry = this.#intern(sequence[block * 2] ?? 0, sequence[block * 2 + 1] ?? 0);
      entries[block] = entry;
      const at = entry * this.#stride + word;
      const held = ((this.#bits[at] ?? 0) & bit) !== 0;
      if (held) this.#more.set(entry * maxRanks + rank, (this.#more.get(entry * maxRanks + rank) ?? 0) + 1);
      else this.#bits[at] = (this.#bits[at] ?? 0) | bit;
      told(entry, !held);
    }
    return entries;
  }

  release(entries: Uint32Array, rank: number, died: (entry: number) => void): void {
    const word = rank >>> 5;
    const bit = 1 << (rank & 31);
    for (const entry of entries) {
      const key = entry * maxRanks + rank;
      const more = this.#more.get(key);
      if (more !== undefined) {
        if (more === 1) this.#more.delete(key);
        else this.#more.set(key, more - 1);
        continue;
      }
      const at = entry * this.#stride + word;
      this.#bits[at] = (this.#bits[at] ?? 0) & ~bit;
      died(entry);
      if (this.#isEmpty(entry)) this.#drop(entry);
    }
  }

  holders(entry: number, rank: number): number {
    const held = ((this.#bits[entry * this.#stride + (rank >>> 5)] ?? 0) >>> (rank & 31)) & 1;
    return held === 0 ? 0 : 1 + (this.#more.get(entry * maxRanks + rank) ?? 0);
  }

  match(sequence: SequenceHashes, count: number, depths: Uint32Array): void {
    depths.fill(0, 0, count);
    const words = Math.min(this.#stride, (count + 31) >>> 5);
    const active = this.#active;
    const blocks = blocksOf(sequence);
    let depth = 0;
    for (; depth < blocks; depth++) {
      const entry = this.#find(sequence[depth * 2] ?? 0, sequence[depth * 2 + 1] ?? 0);
      if (entry < 0) break;
      let left = 0;
      for (let word = 0; word < words; word++) {
        const bits = this.#bits[entry * this.#stride + word] ?? 0;
        const before = depth === 0 ? bits : (active[word] ?? 0);
        const now = before & bits;
        active[word] = now;
        left |= now;
        const lost = before & ~bits;
        if (lost !== 0) write(depths, { word, bits: lost, depth, count });
      }
      if (left === 0) return;
    }
    if (depth > 0) for (let word = 0; word < words; word++) write(depths, { word, bits: active[word] ?? 0, depth, count });
  }

  /** Room for the bit of one more rank; bitsets are laid out anew when a word is not enough. */
  #reach(rank: number): void {
    if (rank >= maxRanks) throw new RangeError(`more than ${maxRanks} ranks`);
    if (rank >>> 5 < this.#stride) return;
    let stride = this.#stride;
    while (rank >>> 5 >= stride) stride *= 2;
    const bits = new Uint32Array((this.#bits.length / this.#stride) * stride);
    for (let entry = 0; entry < this.#used; entry++) {
      for (let word = 0; word < this.#stride; word++) bits[entry * stride + word] = this.#bits[entry * this.#stride + word] ?? 0;
    }
    this.#bits = bits;
    this.#stride = stride;
    this.#active = new Uint32Array(stride);
  }

  #find(low: number, high: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = mix(low, high) & mask; ; slot = (slot + 1) & mask) {
      const entry = (this.#slots[slot] ?? 0) - 1;
      if (entry < 0 || (this.#low[entry] === low && this.#high[entry] === high)) return entry;
    }
  }

  #intern(low: number, high: number): number {
    const known = this.#find(low, high);
    if (known >= 0) return known;
    if ((this.#size + 1) * 2 > this.#slots.length) this.#rehash(this.#slots.length * 2);
    const entry = this.#free.pop() ?? this.#used++;
    this.#low = grownCounts(this.#low, entry + 1);
    this.#high = grownCounts(this.#high, entry + 1);
    this.#bits = grownCounts(this.#bits, (entry + 1) * this.#stride);
    this.#low[entry] = low;
    this.#high[entry] = high;
    this.#put(entry);
    this.#size++;
    return entry;
  }

  #put(entry: number): void {
    const mask = this.#slots.length - 1;
    let slot = mix(this.#low[entry] ?? 0, this.#high[entry] ?? 0) & mask;
    while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
    this.#slots[slot] = entry + 1;
  }

  #rehash(length: number): void {
    const old = this.#slots;
    this.#slots = new Int32Array(length);
    for (const slot of old) if (slot !== 0) this.#put(slot - 1);
  }

  #isEmpty(entry: number): boolean {
    for (let word = 0; word < this.#stride; word++) if (this.#bits[entry * this.#stride + word] !== 0) return false;
    return true;
  }

  /** Takes an entry out and moves the ones behind it back, so that there are no tombstones. */
  #drop(entry: number): void {
    const mask = this.#slots.length - 1;
    let hole = mix(this.#low[entry] ?? 0, this.#high[entry] ?? 0) & mask;
    while (this.#slots[hole] !== entry + 1) hole = (hole + 1) & mask;
    for (let next = (hole + 1) & mask; this.#slots[next] !== 0; next = (next + 1) & mask) {
      const moved = (this.#slots[next] ?? 0) - 1;
      const home = mix(this.#low[moved] ?? 0, this.#high[moved] ?? 0) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = moved + 1;
      hole = next;
    }
    this.#slots[hole] = 0;
    this.#free.push(entry);
    this.#size--;
  }
}

/** Peers choose the hashes that they send: a multiplication keeps neighbours from landing in neighbouring slots. */
const mix = (low: number, high: number): number => {
  const mixed = Math.imul(low ^ Math.imul(high, 0x85eb_ca6b), 0x9e37_79b1);
  return (mixed ^ (mixed >>> 15)) >>> 0;
};

function write(depths: Uint32Array, set: { word: number; bits: number; depth: number; count: number }): void {
  for (let bits = set.bits; bits !== 0; bits &= bits - 1) {
    const rank = set.word * 32 + (31 - Math.clz32(bits & -bits));
    if (rank < set.count) depths[rank] = set.depth;
  }
}
