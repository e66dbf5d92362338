/** Events on the tree, step by step as spec kv-router 3.3 to 3.5 has them. */
import { largestBlock, reserve } from './alloc';
import { coverPrefix, isDead, makeFull, reachOf, shrinkTo } from './cover';
import { makeRoom } from './evict';
import { AHEAD, deleteAll, deleteEntry, deleteSlot, entryOf, hintAt, nodeAt, setEntries, touchEntries } from './lookup';
import { FULL, INTERNAL, ODD, ROOT, addChild, blocksOf, childOf, detach, drain, dropChildren, flag, has, lengthOf, newNode, tokensOf } from './node';
import { NOWHERE, position } from './position';
import { lookupOf, rankCount } from './rank';
import { setCount } from './rank-set';
import { rankWords } from './rank-words';
import { nextTick, touch } from './recency';
import { lengthen, split } from './split';
import { VALUE, endSlot, firstSlot, reach, segmentAt, span } from './table';
import { matching } from './words';

// What an event came to; the texts are in core.ts.
export const OK: u32 = 0;
export const NO_PARENT: u32 = 1;
export const BAD_SEQUENCE: u32 = 2;
export const NO_BLOCK: u32 = 3;
export const MEMORY_FULL: u32 = 4;
export const NOT_AN_EVENT: u32 = 5;
/** Of a residency domain that is not known. */
export const NO_EFFECT: u32 = 6;

/** The most that an event of `n` blocks may take: what it brings, and a few times what a structure takes to grow. */
export function mostBytes(n: u32): u64 {
  return 262_144 + <u64>n * (256 + (rankWords() << 3)) + 8 * <u64>largestBlock() + 64 * <u64>rankCount();
}

/** Stores a chain of blocks for a rank. */
export function stored(rank: u32, chained: bool, parent: u64, n: u32, tokens: usize, blocks: usize): u32 {
  nextTick();
  if (chained) {
    for (let i: u32 = 0; i < n; i++) if (load<u64>(blocks + (i << 3)) == parent) return BAD_SEQUENCE;
    // The chain that is to be continued must not be what makes room.
    const slot = entryOf(rank, parent);
    if (slot == 0) return NO_PARENT;
    touch(nodeAt(slot));
  }
  if (!makeRoom(n) || !reserve(mostBytes(n))) return MEMORY_FULL;
  const result = chained ? storeBehind(rank, parent, n, tokens, blocks) : storeBelow(ROOT, rank, n, tokens, blocks);
  drain();
  // Dividing a node may have given ranks entries under foreign hashes.
  makeRoom(0);
  return result;
}

function storeBehind(rank: u32, parent: u64, n: u32, tokens: usize, blocks: usize): u32 {
  const slot = entryOf(rank, parent);
  if (slot == 0) return NO_PARENT;
  const node = nodeAt(slot);
  const at = position(node, parent, hintAt(slot));
  if (at == NOWHERE) return NO_PARENT;
  if (at >= reachOf(node, rank)) {
    deleteSlot(rank, slot);
    return NO_PARENT;
  }
  const next = at + 1;
  const rest = lengthOf(node) - next;
  const common = min(n, rest);
  const same = matching(tokensOf(node) + (next << 3), tokens, common) == common && matching(blocksOf(node) + (next << 3), blocks, common) == common;
  if (same && n <= rest) {
    coverPrefix(node, rank, next + n);
    setEntries(rank, blocks, n, node, next);
    return OK;
  }
  if (same && !has(node, INTERNAL)) {
    lengthen(node, rank, tokens + (rest << 3), blocks + (rest << 3), n - rest);
    setEntries(rank, blocks, n, node, next);
    return OK;
  }
  if (rest && load<u64>(blocksOf(node) + ((lengthOf(node) - 1) << 3)) != parent) split(node, next);
  return storeBelow(node, rank, n, tokens, blocks);
}

/** Stores the blocks below a node, as far as they are there already along what is there. */
function storeBelow(start: usize, rank: u32, n: u32, tokens: usize, blocks: usize): u32 {
  let parent = start;
  let left = n;
  while (left) {
    const node = childOf(parent, load<u64>(tokens));
    if (node == 0) {
      addBlocks(parent, rank, left, tokens, blocks);
      return OK;
    }
    touch(node);
    const length = lengthOf(node);
    const m = matching(tokensOf(node), tokens, min(length, left));
    if (matching(blocksOf(node), blocks, m) != m) flag(node, ODD);
    if (m < length && m == left) coverPrefix(node, rank, m);
    else {
      if (m < length) split(node, m);
      makeFull(node, rank);
    }
    setEntries(rank, blocks, m, node, 0);
    left -= m;
    tokens += m << 3;
    blocks += m << 3;
    parent = node;
    if (m < length && left) {
      addNode(parent, rank, left, tokens, blocks);
      return OK;
    }
  }
  return OK;
}

function addBlocks(parent: usize, rank: u32, n: u32, tokens: usize, blocks: usize): void {
  const length = lengthOf(parent);
  if (parent == ROOT || has(parent, INTERNAL) || reachOf(parent, rank) < length) {
    addNode(parent, rank, n, tokens, blocks);
    return;
  }
  lengthen(parent, rank, tokens, blocks, n);
  setEntries(rank, blocks, n, parent, length);
}

function addNode(parent: usize, rank: u32, n: u32, tokens: usize, blocks: usize): void {
  const node = newNode(tokens, blocks, n);
  makeFull(node, rank);
  addChild(parent, node);
  setEntries(rank, blocks, n, node, 0);
}

/** Removes blocks of a rank, in order. What can be applied is, whatever the result. */
export function removed(rank: u32, n: u32, blocks: usize, dropped: usize): u32 {
  nextTick();
  if (!reserve((<u64>n) << 6)) return MEMORY_FULL;
  let failed = false;
  let drops: u32 = 0;
  let ahead: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    if (i >= ahead) ahead = lookAhead(rank, blocks, i, n);
    const block = load<u64>(blocks + (i << 3));
    const slot = entryOf(rank, block);
    if (slot == 0) {
      failed = failed || !wasDropped(block, blocks, i, dropped, drops);
      continue;
    }
    const node = nodeAt(slot);
    let at = position(node, block, hintAt(slot));
    if (at == NOWHERE) {
      failed = true;
      continue;
    }
    deleteSlot(rank, slot);
    const covered = reachOf(node, rank);
    if (at >= covered) continue;
    let taken: u32 = 1;
    for (; i + 1 < n; i++, taken++) {
      if (i + 1 >= ahead) ahead = lookAhead(rank, blocks, i + 1, n);
      const next = load<u64>(blocks + ((i + 1) << 3));
      const more = entryOf(rank, next);
      if (more == 0 || nodeAt(more) != node) break;
      const there = position(node, next, hintAt(more));
      if (there == NOWHERE || there >= covered) break;
      deleteSlot(rank, more);
      at = min(at, there);
    }
    // When the event has named all of the rest itself, no entry of it is left.
    if (taken < covered - at) forgetFrom(node, rank, at, covered);
    shrinkTo(node, rank, at);
    tidy(node);
    store<usize>(dropped + drops * 12, node);
    store<u32>(dropped + drops * 12, at, 4);
    store<u32>(dropped + drops * 12, covered, 8);
    drops++;
  }
  drain();
  return failed ? NO_BLOCK : OK;
}

function lookAhead(rank: u32, blocks: usize, i: u32, n: u32): u32 {
  const end = min(i + AHEAD, n);
  touchEntries(rank, blocks + (i << 3), end - i);
  return end;
}

function forgetFrom(node: usize, rank: u32, at: u32, covered: u32): void {
  const edge = blocksOf(node);
  for (let j = at; j < covered; j++) deleteEntry(rank, load<u64>(edge + (j << 3)));
}

/** What no full rank holds has no children, and what no rank holds at all need not stay in the tree. */
function tidy(node: usize): void {
  if (setCount(node + FULL)) return;
  dropChildren(node);
  if (isDead(node)) detach(node);
}

/** Whether this event took a hash away before: itself, or with the rest of its edge. Nodes are freed only afterwards. */
function wasDropped(block: u64, blocks: usize, before: u32, dropped: usize, drops: u32): bool {
  for (let i: u32 = 0; i < before; i++) if (load<u64>(blocks + (i << 3)) == block) return true;
  for (let d: u32 = 0; d < drops; d++) {
    const edge = blocksOf(load<usize>(dropped + d * 12));
    const to = load<u32>(dropped + d * 12, 8);
    for (let j = load<u32>(dropped + d * 12, 4); j < to; j++) if (load<u64>(edge + (j << 3)) == block) return true;
  }
  return false;
}

/** Forgets a rank (spec 3.5). */
export function cleared(rank: u32): void {
  nextTick();
  const table = lookupOf(rank);
  for (let at: u32 = 0, all = span(table); at < all;) {
    const segment = segmentAt(table, at);
    at += reach(table, segment);
    const end = endSlot(segment);
    for (let slot = firstSlot(segment); slot < end; slot += 16) {
      const node = load<usize>(slot, VALUE);
      if (node == 0) continue;
      shrinkTo(node, rank, 0);
      tidy(node);
    }
  }
  deleteAll(rank);
  drain();
}
