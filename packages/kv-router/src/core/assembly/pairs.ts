/** Small lists of (rank u32, number u32): {0 pointer, 4 count, 8 capacity in pairs}. They are searched in order. */
import { alloc, granted, release } from './alloc';

const COUNT: usize = 4;
const CAPACITY: usize = 8;

export function pairCount(list: usize): u32 {
  return load<u32>(list, COUNT);
}

export function pairRank(list: usize, i: u32): u32 {
  return load<u32>(load<usize>(list) + (i << 3));
}

export function pairNumber(list: usize, i: u32): u32 {
  return load<u32>(load<usize>(list) + (i << 3), 4);
}

/** The number of a rank; 0 if it has none. */
export function pairGet(list: usize, rank: u32): u32 {
  const count = load<u32>(list, COUNT);
  const items = load<usize>(list);
  for (let i: u32 = 0; i < count; i++) if (load<u32>(items + (i << 3)) == rank) return load<u32>(items + (i << 3), 4);
  return 0;
}

/** Sets a rank's number; true if it had none. */
export function pairSet(list: usize, rank: u32, number: u32): bool {
  const count = load<u32>(list, COUNT);
  let items = load<usize>(list);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(items + (i << 3)) != rank) continue;
    store<u32>(items + (i << 3), number, 4);
    return false;
  }
  if (count == load<u32>(list, CAPACITY)) items = enlarge(list, count);
  store<u32>(items + (count << 3), rank);
  store<u32>(items + (count << 3), number, 4);
  store<u32>(list, count + 1, COUNT);
  return true;
}

function enlarge(list: usize, count: u32): usize {
  const bytes = granted((<usize>count + 1) << 3) & ~7;
  const items = alloc(bytes);
  const old = load<usize>(list);
  if (old) {
    memory.copy(items, old, (<usize>count) << 3);
    release(old, (<usize>load<u32>(list, CAPACITY)) << 3);
  }
  store<usize>(list, items);
  store<u32>(list, <u32>(bytes >> 3), CAPACITY);
  return items;
}

/** Takes a rank out; true if it was in. The order of the others changes. */
export function pairRemove(list: usize, rank: u32): bool {
  const count = load<u32>(list, COUNT);
  const items = load<usize>(list);
  for (let i: u32 = 0; i < count; i++) {
    if (load<u32>(items + (i << 3)) != rank) continue;
    store<u64>(items + (i << 3), load<u64>(items + ((count - 1) << 3)));
    store<u32>(list, count - 1, COUNT);
    if (count == 1) pairFree(list);
    return true;
  }
  return false;
}

export function pairFree(list: usize): void {
  const items = load<usize>(list);
  if (items) release(items, (<usize>load<u32>(list, CAPACITY)) << 3);
  store<u64>(list, 0);
  store<u32>(list, 0, CAPACITY);
}
