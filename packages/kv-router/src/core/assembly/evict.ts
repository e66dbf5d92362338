/**
 * Keeping the index under a cap: what was stored or matched least recently goes first, leaves before their parents.
 *
 * An evicted block is as if its rank had never stored it: a later removal of it, or a store behind it, fails as for any
 * unknown block.
 */
import { liveBytes } from './alloc';
import { bufferBytes } from './buffer';
import { isDead, shrinkTo } from './cover';
import { bury, deleteSlot, entryCount, entryOf, garbageCount, nodeAt } from './lookup';
import { CUTS, FULL, blocksOf, childCount, detach, drain, dropChildren, lengthOf, nodeCount, refsOf, uncover } from './node';
import { pairCount, pairNumber, pairRank } from './pairs';
import { coverageOf, membersArea, rankCount } from './rank';
import { setCount, setList } from './rank-set';
import { TIERS, TREE, listedAgo, newest, olderThan, oldest, refresh, usedSinceListed } from './recency';
import { edgeCount, evictEdge, tierEntryCount } from './tier';

let mostBlocks: u32 = 0xffffffff;
let mostBytes: u64 = 0xffffffff;
let evictedBlocks: u64 = 0;

export function setCaps(blocks: u32, bytes: u64): void {
  mostBlocks = blocks;
  mostBytes = bytes;
}

/** Blocks by worker that were given up so far. */
export function evictedBlockCount(): f64 {
  return <f64>evictedBlocks;
}

/** Blocks by worker that are in the index, on all tiers. */
export function heldBlocks(): u32 {
  return entryCount() - garbageCount() + tierEntryCount();
}

/** Bytes that the index itself takes. */
export function heldBytes(): u64 {
  return <u64>liveBytes() - bufferBytes() - min<u64>(<u64>garbageCount() * 24, <u64>liveBytes() - bufferBytes());
}

/** Evicts until `n` more blocks fit under the cap; false when they never can. */
export function makeRoom(n: u32): bool {
  if (n > mostBlocks) return false;
  while (heldBlocks() > mostBlocks - n || heldBytes() > mostBytes) if (!evictOne()) return heldBlocks() <= mostBlocks - n;
  return true;
}

function evictOne(): bool {
  for (let tries = 2 * (nodeCount() + edgeCount()); tries; tries--) {
    const node = oldest(TREE);
    const edge = oldest(TIERS);
    if (node == 0 && edge == 0) return false;
    if (node == 0 || (edge != 0 && listedAgo(edge) > listedAgo(node))) {
      if (usedSinceListed(edge)) refresh(TIERS, edge);
      else {
        evictedBlocks += evictEdge(edge);
        return true;
      }
    } else if (usedSinceListed(node) || childCount(node)) refresh(TREE, node);
    else {
      evictNode(node);
      return true;
    }
  }
  return false;
}

function evictNode(node: usize): void {
  const before = entryCount();
  const members = membersArea();
  const full = setList(node + FULL, members);
  for (let i: u32 = 0; i < full; i++) forgetBlocks(node, load<u32>(members + (i << 2)), lengthOf(node));
  for (let i: u32 = 0, cuts = pairCount(node + CUTS); i < cuts; i++) forgetBlocks(node, pairRank(node + CUTS, i), pairNumber(node + CUTS, i));
  uncover(node);
  detach(node);
  // Entries under other hashes than the edge's are not to be found from here: they are garbage from now on.
  if (refsOf(node)) bury(node);
  evictedBlocks += before - entryCount() + refsOf(node);
  drain();
}

function forgetBlocks(node: usize, rank: u32, n: u32): void {
  const blocks = blocksOf(node);
  for (let i: u32 = 0; i < n; i++) {
    const slot = entryOf(rank, load<u64>(blocks + (i << 3)));
    if (slot && nodeAt(slot) == node) deleteSlot(rank, slot);
  }
}

/**
 * Takes a rank from every node that still names it. A rank that stored one block_hash in two places leaves the first
 * behind when it is cleared (spec 3.5 only follows its lookup): before its number is given away, that must go too.
 */
export function sweep(rank: u32): void {
  if (rank >= rankCount()) return;
  for (let node = newest(TREE); node != 0 && coverageOf(rank) != 0; node = olderThan(node)) {
    shrinkTo(node, rank, 0);
    if (setCount(node + FULL)) continue;
    dropChildren(node);
    if (isDead(node)) detach(node);
  }
  drain();
}
