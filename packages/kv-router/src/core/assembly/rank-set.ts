/**
 * A set of ranks: {0 count, 4 words, 8 up to four u16 while words is 0, else a pointer to that many u64 of bits}.
 *
 * Most nodes are held by one rank; a bitset begins with the fifth and goes again with the third.
 */
import { alloc, granted, release } from './alloc';
import { rankWords } from './rank-words';

const WORDS: usize = 4;
const ITEMS: usize = 8;

export function setCount(set: usize): u32 {
  return load<u32>(set);
}

export function setHas(set: usize, rank: u32): bool {
  const words = load<u32>(set, WORDS);
  if (words) {
    const word = rank >> 6;
    return word < words && ((load<u64>(load<usize>(set, ITEMS) + (word << 3)) >> (rank & 63)) & 1) != 0;
  }
  const count = load<u32>(set);
  for (let i: u32 = 0; i < count; i++) if (<u32>load<u16>(set + (i << 1), ITEMS) == rank) return true;
  return false;
}

function widenTo(set: usize, words: u32): void {
  const capacity = <u32>(granted((<usize>words) << 3) >> 3);
  const bits = alloc((<usize>capacity) << 3);
  memory.fill(bits, 0, (<usize>capacity) << 3);
  const old = load<u32>(set, WORDS);
  if (old) {
    memory.copy(bits, load<usize>(set, ITEMS), (<usize>old) << 3);
    release(load<usize>(set, ITEMS), (<usize>old) << 3);
  } else {
    const count = load<u32>(set);
    for (let i: u32 = 0; i < count; i++) mark(bits, load<u16>(set + (i << 1), ITEMS));
  }
  store<usize>(set, bits, ITEMS);
  store<u32>(set, capacity, WORDS);
}

/** Sets a rank's bit. */
export function mark(bits: usize, rank: u32): void {
  const word = bits + ((rank >> 6) << 3);
  store<u64>(word, load<u64>(word) | ((<u64>1) << (rank & 63)));
}

/** Adds a rank; false if it was in already. */
export function setAdd(set: usize, rank: u32): bool {
  if (setHas(set, rank)) return false;
  const count = load<u32>(set);
  store<u32>(set, count + 1);
  let words = load<u32>(set, WORDS);
  if (words == 0 && count < 4) {
    store<u16>(set + (count << 1), <u16>rank, ITEMS);
    return true;
  }
  if (words <= rank >> 6) {
    store<u32>(set, count);
    widenTo(set, max(rankWords(), (rank >> 6) + 1));
    store<u32>(set, count + 1);
  }
  mark(load<usize>(set, ITEMS), rank);
  return true;
}

/** Removes a rank; false if it was not in. */
export function setRemove(set: usize, rank: u32): bool {
  if (!setHas(set, rank)) return false;
  const count = load<u32>(set) - 1;
  store<u32>(set, count);
  if (load<u32>(set, WORDS) == 0) {
    for (let i: u32 = 0; i < count; i++)
      if (<u32>load<u16>(set + (i << 1), ITEMS) == rank) store<u16>(set + (i << 1), load<u16>(set + (count << 1), ITEMS), ITEMS);
    return true;
  }
  const word = load<usize>(set, ITEMS) + ((rank >> 6) << 3);
  store<u64>(word, load<u64>(word) & ~((<u64>1) << (rank & 63)));
  if (count <= 2) narrow(set, count);
  return true;
}

function narrow(set: usize, count: u32): void {
  const words = load<u32>(set, WORDS);
  const bits = load<usize>(set, ITEMS);
  store<u32>(set, 0, WORDS);
  let found: u32 = 0;
  for (let w: u32 = 0; found < count; w++) {
    for (let rest = load<u64>(bits + (w << 3)); rest; rest &= rest - 1) {
      store<u16>(set + (found++ << 1), <u16>((w << 6) + <u32>ctz<u64>(rest)), ITEMS);
      // What was the pointer is overwritten only now: `bits` holds it.
    }
  }
  release(bits, (<usize>words) << 3);
}

/** Empties a set. */
export function setFree(set: usize): void {
  const words = load<u32>(set, WORDS);
  if (words) release(load<usize>(set, ITEMS), (<usize>words) << 3);
  v128.store(set, i64x2.splat(0));
}

/** Copies a set into an empty one. */
export function setCopy(to: usize, from: usize): void {
  v128.store(to, v128.load(from));
  const words = load<u32>(from, WORDS);
  if (words == 0) return;
  const bits = alloc((<usize>words) << 3);
  memory.copy(bits, load<usize>(from, ITEMS), (<usize>words) << 3);
  store<usize>(to, bits, ITEMS);
}

/** Where the first `words` words of the set's bits stand: its own, or written to `scratch`. */
export function setBits(set: usize, scratch: usize, words: u32): usize {
  const own = load<u32>(set, WORDS);
  if (own >= words) return load<usize>(set, ITEMS);
  for (let w: u32 = 0; w < words; w++) store<u64>(scratch + (w << 3), w < own ? load<u64>(load<usize>(set, ITEMS) + (w << 3)) : 0);
  if (own) return scratch;
  const count = load<u32>(set);
  for (let i: u32 = 0; i < count; i++) mark(scratch, load<u16>(set + (i << 1), ITEMS));
  return scratch;
}

/** Writes the ranks of a set as u32 and says how many. */
export function setList(set: usize, out: usize): u32 {
  const words = load<u32>(set, WORDS);
  const count = load<u32>(set);
  if (words == 0) {
    for (let i: u32 = 0; i < count; i++) store<u32>(out + (i << 2), load<u16>(set + (i << 1), ITEMS));
    return count;
  }
  const bits = load<usize>(set, ITEMS);
  let n: u32 = 0;
  for (let w: u32 = 0; w < words; w++)
    for (let rest = load<u64>(bits + (w << 3)); rest; rest &= rest - 1) store<u32>(out + (n++ << 2), (w << 6) + <u32>ctz<u64>(rest));
  return n;
}

/** Whether two sets hold the same ranks; `a` and `b` are scratch. */
export function setEqual(one: usize, other: usize, a: usize, b: usize): bool {
  if (load<u32>(one) != load<u32>(other)) return false;
  const words = rankWords();
  return memory.compare(setBits(one, a, words), setBits(other, b, words), (<usize>words) << 3) == 0;
}
