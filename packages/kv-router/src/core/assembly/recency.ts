/**
 * What was used least recently: one list of tree nodes and one of lower-tier edges.
 *
 * Items begin with {0 towards the newest, 4 towards the oldest, 8 tick of the last use, 12 tick when it was listed}.
 * A use only stores the tick. Order is made up for when the oldest is asked for: one that was used since it was listed
 * goes to the front again.
 */
export const TREE: usize = memory.data(8, 8);
export const TIERS: usize = memory.data(8, 8);
export const TICK: usize = 8;
const NEWER: usize = 0;
const OLDER: usize = 4;
const LISTED: usize = 12;

let now: u32 = 1;

/** One tick an event or a query. */
export function nextTick(): void {
  now++;
}

export function touch(item: usize): void {
  store<u32>(item, now, TICK);
}

function link(list: usize, item: usize, newer: usize, older: usize): void {
  store<usize>(item, newer, NEWER);
  store<usize>(item, older, OLDER);
  if (newer) store<usize>(newer, item, OLDER);
  else store<usize>(list, item);
  if (older) store<usize>(older, item, NEWER);
  else store<usize>(list, item, 4);
}

/** Puts a new item in front, or right behind `newer`. */
export function enlist(list: usize, item: usize, newer: usize = 0): void {
  store<u32>(item, load<u32>(item, TICK), LISTED);
  link(list, item, newer, newer ? load<usize>(newer, OLDER) : load<usize>(list));
}

export function delist(list: usize, item: usize): void {
  const newer = load<usize>(item, NEWER);
  const older = load<usize>(item, OLDER);
  if (newer) store<usize>(newer, older, OLDER);
  else store<usize>(list, older);
  if (older) store<usize>(older, newer, NEWER);
  else store<usize>(list, newer, 4);
}

export function oldest(list: usize): usize {
  return load<usize>(list, 4);
}

export function usedSinceListed(item: usize): bool {
  return load<u32>(item, TICK) != load<u32>(item, LISTED);
}

export function refresh(list: usize, item: usize): void {
  delist(list, item);
  enlist(list, item);
}

/** Makes an item the next to be looked at. */
export function demote(list: usize, item: usize): void {
  delist(list, item);
  link(list, item, load<usize>(list, 4), 0);
}

/** How long ago an item was listed, in ticks. */
export function listedAgo(item: usize): u32 {
  return now - load<u32>(item, LISTED);
}

/** The next one towards the oldest, from the newest on. */
export function newest(list: usize): usize {
  return load<usize>(list);
}

export function olderThan(item: usize): usize {
  return load<usize>(item, OLDER);
}
