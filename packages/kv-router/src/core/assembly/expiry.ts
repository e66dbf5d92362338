/** When blocks of a prediction were last asked for: rank and sequence hash -> stamp, a number that grows. */
import { reserve } from './alloc';
import { MEMORY_FULL, OK, mostBytes, removed, stored } from './apply';
import { promptLocal, promptSequence } from './prompt';
import { stampsOf } from './rank';
import { TABLE_COUNT, VALUE, tableDelete, tableFree, tableGet, tablePut } from './table';

/** Stores the prompt last hashed for a rank, each block with a stamp. */
export function predict(rank: u32, n: u32, stamp: u32): u32 {
  const result = stored(rank, false, 0, n, promptLocal(), promptSequence());
  if (result != OK) return result;
  if (!reserve(mostBytes(n))) return MEMORY_FULL;
  const sequence = promptSequence();
  for (let i: u32 = 0; i < n; i++) store<u32>(tablePut(stampsOf(rank), load<u64>(sequence + (i << 3))), stamp, VALUE);
  return OK;
}

/** How many blocks of a rank have stamps. */
export function stampCount(rank: u32): u32 {
  return load<u32>(stampsOf(rank), TABLE_COUNT);
}

/** Whether a rank's block still has this stamp. */
export function hasStamp(rank: u32, stamp: u32, hash: usize): bool {
  const slot = tableGet(stampsOf(rank), load<u64>(hash));
  return slot != 0 && load<u32>(slot, VALUE) == stamp;
}

/** Removes those of `n` blocks that still have this stamp: nobody has asked for them since. Says how many. */
export function expire(rank: u32, stamp: u32, hashes: usize, n: u32, dropped: usize): u32 {
  let stale: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const slot = tableGet(stampsOf(rank), load<u64>(hashes + (i << 3)));
    if (slot == 0 || load<u32>(slot, VALUE) != stamp) continue;
    tableDelete(stampsOf(rank), slot);
    store<u64>(hashes + (stale++ << 3), load<u64>(hashes + (i << 3)));
  }
  removed(rank, stale, hashes, dropped);
  return stale;
}

/** Forgets all stamps of a rank. */
export function forgetStamps(rank: u32): void {
  tableFree(stampsOf(rank));
}
