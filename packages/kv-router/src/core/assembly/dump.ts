/**
 * Writing the tree as the events that would build it (spec kv-router 3.6): breadth first, and a node with its only child
 * in one piece where the same ranks hold both whole.
 *
 * One piece at a time is in `OUT`: 0 has a parent u32, 4 blocks u32, 8 parent u64, 16 holders u32, then at 24 the
 * tokens_hashes, the block_hashes, and (rank, k) of each holder. Nothing may change the tree between pieces.
 */
import { room } from './buffer';
import { CUTS, FULL, ROOT, blocksOf, childCount, lengthOf, listChildren, nodeCount, tokensOf } from './node';
import { pairCount, pairNumber, pairRank } from './pairs';
import { activeArea, maskArea, membersArea } from './rank';
import { setCount, setEqual, setList } from './rank-set';
import { olderThan } from './recency';
import { EDGE_CHILD, EDGE_KIND, EDGE_PARENT, EDGE_TOKENS, OWNERS, firstEdge } from './tier';
import { copyWords } from './words';

const QUEUE: usize = memory.data(8, 8);
const KIDS: usize = memory.data(8, 8);
const OUT: usize = memory.data(8, 8);
const HEADER: usize = 24;

let head: u32 = 0;
let tail: u32 = 0;
let edge: usize = 0;

/** Begins a dump; false when there is no memory for its queue. */
export function dumpStart(): bool {
  if (!room(QUEUE, (<usize>nodeCount()) << 4) || !room(KIDS, (<usize>nodeCount() + 1) << 2)) return false;
  head = 0;
  tail = 0;
  edge = firstEdge();
  enqueueChildren(ROOT, false, 0);
  return true;
}

function enqueueChildren(node: usize, chained: bool, parent: u64): void {
  const kids = load<usize>(KIDS);
  const count = listChildren(node, kids);
  for (let i: u32 = 0; i < count; i++) {
    const item = load<usize>(QUEUE) + (tail++ << 4);
    store<usize>(item, load<usize>(kids + (i << 2)));
    store<u32>(item, <u32>chained, 4);
    store<u64>(item, parent, 8);
  }
}

/** The node that goes on in the same piece, or 0. */
function mergedWith(node: usize): usize {
  if (pairCount(node + CUTS) != 0 || childCount(node) != 1) return 0;
  const kids = load<usize>(KIDS);
  listChildren(node, kids);
  const child = load<usize>(kids);
  if (pairCount(child + CUTS) != 0 || !setEqual(node + FULL, child + FULL, activeArea(), maskArea())) return 0;
  return child;
}

/** Where the next piece of the tree stands; 0 at the end, 1 when there is no memory for it. */
export function dumpNext(): usize {
  if (head == tail) return 0;
  const item = load<usize>(QUEUE) + (head++ << 4);
  const first = load<usize>(item);
  let length = lengthOf(first);
  let final = first;
  for (let next = mergedWith(first); next != 0; next = mergedWith(next)) {
    length += lengthOf(next);
    final = next;
  }
  const holders = setCount(final + FULL) + pairCount(final + CUTS);
  const out = room(OUT, HEADER + ((<usize>length) << 4) + ((<usize>holders) << 3));
  if (out == 0) return 1;
  store<u32>(out, load<u32>(item, 4));
  store<u32>(out, length, 4);
  store<u64>(out, load<u64>(item, 8), 8);
  store<u32>(out, holders, 16);
  writeBlocks(first, final, out + HEADER, out + HEADER + (length << 3));
  writeHolders(final, length, out + HEADER + (length << 4));
  enqueueChildren(final, true, load<u64>(blocksOf(final) + ((lengthOf(final) - 1) << 3)));
  return out;
}

function writeBlocks(first: usize, final: usize, tokens: usize, blocks: usize): void {
  let node = first;
  while (true) {
    const n = lengthOf(node);
    copyWords(tokens, tokensOf(node), n);
    copyWords(blocks, blocksOf(node), n);
    tokens += n << 3;
    blocks += n << 3;
    if (node == final) return;
    node = mergedWith(node);
  }
}

function writeHolders(node: usize, length: u32, out: usize): void {
  const members = membersArea();
  const full = setList(node + FULL, members);
  for (let i: u32 = 0; i < full; i++) {
    store<u32>(out + (i << 3), load<u32>(members + (i << 2)));
    store<u32>(out + (i << 3), length, 4);
  }
  for (let i: u32 = 0, cuts = pairCount(node + CUTS); i < cuts; i++) {
    store<u32>(out + ((full + i) << 3), pairRank(node + CUTS, i));
    store<u32>(out + ((full + i) << 3), pairNumber(node + CUTS, i), 4);
  }
}

/** The next edge of a lower tier in the same form, with its tier at 20; 0 at the end, 1 without memory. */
export function dumpNextEdge(): usize {
  if (edge == 0) return 0;
  const owners = setCount(edge + OWNERS);
  const out = room(OUT, HEADER + 16 + ((<usize>owners) << 3));
  if (out == 0) return 1;
  store<u32>(out, load<u32>(edge, EDGE_KIND) & 1);
  store<u32>(out, 1, 4);
  store<u64>(out, load<u64>(edge, EDGE_PARENT), 8);
  store<u32>(out, owners, 16);
  store<u32>(out, load<u32>(edge, EDGE_KIND) >> 1, 20);
  store<u64>(out, load<u64>(edge, EDGE_TOKENS), HEADER);
  store<u64>(out, load<u64>(edge, EDGE_CHILD), HEADER + 8);
  const members = membersArea();
  const count = setList(edge + OWNERS, members);
  for (let i: u32 = 0; i < count; i++) {
    store<u32>(out + HEADER + 16 + (i << 3), load<u32>(members + (i << 2)));
    store<u32>(out + HEADER + 16 + (i << 3), 1, 4);
  }
  edge = olderThan(edge);
  return out;
}
