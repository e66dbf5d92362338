/**
 * Where each rank has each of its blocks: block_hash -> (node, position when it was stored).
 *
 * The position is a hint: it is right unless the node is odd.
 */
import { EVICTED, ODD, flag, has, hold, letGo, refsOf } from './node';
import { lookupOf } from './rank';
import { TREE, delist } from './recency';
import {
  EXTRA,
  VALUE,
  crowdedSegment,
  endSlot,
  firstSlot,
  reach,
  segmentAt,
  span,
  tableDelete,
  tableErase,
  tableFree,
  tableGet,
  tablePut,
  tableTouch,
} from './table';

let entries: u32 = 0;
let garbage: u32 = 0;

/** Lookup entries of all ranks: blocks by worker. */
export function entryCount(): u32 {
  return entries;
}

/** Entries that point to evicted nodes: nobody can find them, and they go as soon as their segment is crowded. */
export function garbageCount(): u32 {
  return garbage;
}

export function entryOf(rank: u32, block: u64): usize {
  return tableGet(lookupOf(rank), block);
}

export function nodeAt(slot: usize): usize {
  return load<usize>(slot, VALUE);
}

export function hintAt(slot: usize): u32 {
  return load<u32>(slot, EXTRA);
}

/** Notes that a rank has a block in a node. */
export function setEntry(rank: u32, block: u64, node: usize, position: u32): void {
  const table = lookupOf(rank);
  if (garbage) purge(table, block);
  const slot = tablePut(table, block);
  const old = load<usize>(slot, VALUE);
  if (old == node) {
    // The same hash twice in one edge: the later position counts (spec 3.1, `index`).
    if (load<u32>(slot, EXTRA) != position) flag(node, ODD);
    store<u32>(slot, position, EXTRA);
    return;
  }
  store<usize>(slot, node, VALUE);
  store<u32>(slot, position, EXTRA);
  hold(node);
  if (old) forgetNode(old);
  else entries++;
}

/** Notes a run of blocks. */
export function setEntries(rank: u32, blocks: usize, n: u32, node: usize, position: u32): void {
  for (let i: u32 = 0; i < n; i += AHEAD) {
    const end = min(i + AHEAD, n);
    touchEntries(rank, blocks + (i << 3), end - i);
    for (let j = i; j < end; j++) setEntry(rank, load<u64>(blocks + (j << 3)), node, position + j);
  }
}

/** How many entries are read ahead. */
export const AHEAD: u32 = 16;
let seen: u32 = 0;

/** Reads the entries of a few blocks ahead. */
export function touchEntries(rank: u32, blocks: usize, n: u32): void {
  const table = lookupOf(rank);
  if (n < 3 || load<usize>(table) == 0) return;
  let all: u32 = 0;
  for (let i: u32 = 0; i < n; i++) all |= tableTouch(table, load<u64>(blocks + (i << 3)));
  // Kept, or the reads would be left out.
  seen = all;
}

function forgetNode(node: usize): void {
  if (has(node, EVICTED)) garbage--;
  letGo(node);
}

export function deleteSlot(rank: u32, slot: usize): void {
  const node = load<usize>(slot, VALUE);
  tableDelete(lookupOf(rank), slot);
  entries--;
  forgetNode(node);
}

/** Forgets a block; true if the rank had it. */
export function deleteEntry(rank: u32, block: u64): bool {
  const slot = entryOf(rank, block);
  if (slot == 0) return false;
  deleteSlot(rank, slot);
  return true;
}

/** Forgets all blocks of a rank. */
export function deleteAll(rank: u32): void {
  const table = lookupOf(rank);
  for (let at: u32 = 0, all = span(table); at < all;) {
    const segment = segmentAt(table, at);
    at += reach(table, segment);
    const end = endSlot(segment);
    for (let slot = firstSlot(segment); slot < end; slot += 16) {
      if (load<u32>(slot, VALUE) == 0) continue;
      entries--;
      forgetNode(load<usize>(slot, VALUE));
    }
  }
  tableFree(table);
}

/** Marks a node as evicted; entries under other hashes than the edge's may still point to it. */
export function bury(node: usize): void {
  flag(node, EVICTED);
  delist(TREE, node);
  garbage += refsOf(node);
}

function purge(table: usize, block: u64): void {
  const segment = crowdedSegment(table, block);
  if (segment == 0) return;
  for (let slot = firstSlot(segment); slot < endSlot(segment);) {
    const node = load<usize>(slot, VALUE);
    if (node == 0 || !has(node, EVICTED)) slot += 16;
    else {
      // Another slot may move here, so this place is looked at again.
      tableErase(table, slot);
      entries--;
      forgetNode(node);
    }
  }
}
