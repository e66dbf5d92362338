/**
 * Lower tiers (spec kv-router 4): one continuation index each for host_pinned (1), disk (2) and external (3).
 *
 * An edge is (parent block_hash or none, tokens_hash) -> child block_hash, with the ranks that own it. 64 bytes: 0 recency,
 * 16 owners (a set of ranks), 32 parent u64, 40 tokens_hash u64, 48 child u64, 56 next edge under the same table key,
 * 60 tier and whether it has a parent. Tables: mixed key -> first edge; by rank, block_hash -> edge.
 */
import { alloc, release, reserve } from './alloc';
import { mostBytes, MEMORY_FULL, NO_BLOCK, OK } from './apply';
import { makeRoom } from './evict';
import { WITH_LAST, find } from './find';
import { joinedArea, lastArea, membersArea, pairsArea, rankCount, tierArea, tierTableOf, walkArea } from './rank';
import { mark, setAdd, setCount, setFree, setHas, setList, setRemove } from './rank-set';
import { rankWords } from './rank-words';
import { TIERS, delist, enlist, newest, nextTick, touch } from './recency';
import { VALUE, endSlot, firstSlot, reach, segmentAt, span, tableDelete, tableFree, tableGet, tablePut } from './table';

const BYTES: usize = 64;
export const OWNERS: usize = 16;
export const EDGE_PARENT: usize = 32;
export const EDGE_TOKENS: usize = 40;
export const EDGE_CHILD: usize = 48;
const NEXT: usize = 56;
export const EDGE_KIND: usize = 60;
const TABLES: usize = memory.data(16 * 4, 16);
const USED: usize = memory.data(4 * 4, 4);

let edges: u32 = 0;
let owned: u32 = 0;

export function edgeCount(): u32 {
  return edges;
}

/** Blocks by worker on all lower tiers. */
export function tierEntryCount(): u32 {
  return owned;
}

function kindOf(tier: u32, chained: bool): u32 {
  return (tier << 1) | <u32>chained;
}

function keyOf(kind: u32, parent: u64, tokens: u64): u64 {
  let key = (parent + <u64>kind) * 0xc2b2ae3d27d4eb4f;
  key = ((key ^ (key >> 32)) + tokens) * 0x165667b19e3779f9;
  return key ^ (key >> 29);
}

function edgeOf(kind: u32, parent: u64, tokens: u64): usize {
  const slot = tableGet(TABLES + ((<usize>kind >> 1) << 4), keyOf(kind, parent, tokens));
  let edge = slot ? load<usize>(slot, VALUE) : 0;
  while (edge && !(load<u64>(edge, EDGE_TOKENS) == tokens && load<u64>(edge, EDGE_PARENT) == parent && load<u32>(edge, EDGE_KIND) == kind))
    edge = load<usize>(edge, NEXT);
  return edge;
}

function newEdge(kind: u32, parent: u64, tokens: u64, child: u64, behind: usize): usize {
  const edge = alloc(BYTES);
  memory.fill(edge, 0, BYTES);
  store<u64>(edge, parent, EDGE_PARENT);
  store<u64>(edge, tokens, EDGE_TOKENS);
  store<u64>(edge, child, EDGE_CHILD);
  store<u32>(edge, kind, EDGE_KIND);
  const slot = tablePut(TABLES + ((<usize>kind >> 1) << 4), keyOf(kind, parent, tokens));
  store<usize>(edge, load<usize>(slot, VALUE), NEXT);
  store<usize>(slot, edge, VALUE);
  touch(edge);
  // Behind its parent, so that the end of a chain is evicted before its beginning.
  enlist(TIERS, edge, behind);
  edges++;
  return edge;
}

function freeEdge(edge: usize): void {
  const kind = load<u32>(edge, EDGE_KIND);
  const table = TABLES + ((<usize>kind >> 1) << 4);
  const slot = tableGet(table, keyOf(kind, load<u64>(edge, EDGE_PARENT), load<u64>(edge, EDGE_TOKENS)));
  if (load<usize>(slot, VALUE) == edge) {
    if (load<usize>(edge, NEXT)) store<usize>(slot, load<usize>(edge, NEXT), VALUE);
    else tableDelete(table, slot);
  } else {
    let before = load<usize>(slot, VALUE);
    while (load<usize>(before, NEXT) != edge) before = load<usize>(before, NEXT);
    store<usize>(before, load<usize>(edge, NEXT), NEXT);
  }
  setFree(edge + OWNERS);
  delist(TIERS, edge);
  release(edge, BYTES);
  edges--;
}

/** Stores a chain of blocks on a tier, up to the first that contradicts what is known. */
export function tierStored(tier: u32, rank: u32, chained: bool, parent: u64, n: u32, tokens: usize, blocks: usize): u32 {
  nextTick();
  store<u32>(USED + (tier << 2), 1);
  if (!makeRoom(n) || !reserve(mostBytes(n))) return MEMORY_FULL;
  let behind: usize = 0;
  for (let i: u32 = 0; i < n; i++) {
    const token = load<u64>(tokens + (i << 3));
    const block = load<u64>(blocks + (i << 3));
    const kind = kindOf(tier, chained);
    let edge = edgeOf(kind, parent, token);
    const own = tableGet(tierTableOf(rank, tier), block);
    if (own && load<usize>(own, VALUE) != edge) return OK;
    if (edge && load<u64>(edge, EDGE_CHILD) != block) return OK;
    if (edge == 0) edge = newEdge(kind, parent, token, block, behind);
    else touch(edge);
    if (setAdd(edge + OWNERS, rank)) {
      store<usize>(tablePut(tierTableOf(rank, tier), block), edge, VALUE);
      owned++;
    }
    chained = true;
    parent = block;
    behind = edge;
  }
  return OK;
}

/** Removes blocks from a tier, up to the first that the rank does not have there. */
export function tierRemoved(tier: u32, rank: u32, n: u32, blocks: usize): u32 {
  nextTick();
  store<u32>(USED + (tier << 2), 1);
  for (let i: u32 = 0; i < n; i++) {
    const table = tierTableOf(rank, tier);
    const slot = tableGet(table, load<u64>(blocks + (i << 3)));
    if (slot == 0) return NO_BLOCK;
    const edge = load<usize>(slot, VALUE);
    tableDelete(table, slot);
    disown(edge, rank);
  }
  return OK;
}

function disown(edge: usize, rank: u32): void {
  owned--;
  setRemove(edge + OWNERS, rank);
  if (setCount(edge + OWNERS) == 0) freeEdge(edge);
}

/** Forgets everything of a rank on all lower tiers. */
export function tierCleared(rank: u32): void {
  for (let tier: u32 = 1; tier <= 3; tier++) {
    const table = tierTableOf(rank, tier);
    for (let at: u32 = 0, all = span(table); at < all;) {
      const segment = segmentAt(table, at);
      at += reach(table, segment);
      const end = endSlot(segment);
      for (let slot = firstSlot(segment); slot < end; slot += 16) if (load<u32>(slot, VALUE)) disown(load<usize>(slot, VALUE), rank);
    }
    tableFree(table);
  }
}

/** Evicts an edge and says how many blocks by worker that were. */
export function evictEdge(edge: usize): u32 {
  const members = membersArea();
  const count = setList(edge + OWNERS, members);
  for (let i: u32 = 0; i < count; i++) {
    const table = tierTableOf(load<u32>(members + (i << 2)), load<u32>(edge, EDGE_KIND) >> 1);
    const slot = tableGet(table, load<u64>(edge, EDGE_CHILD));
    if (slot) tableDelete(table, slot);
  }
  owned -= count;
  freeEdge(edge);
  return count;
}

/** Looks a prompt up on all tiers: `tierArea(0)` to `tierArea(3)` then hold the blocks that each rank has there. */
export function findTiers(hashes: usize, n: u32): void {
  const count = find(hashes, n, WITH_LAST);
  const ranks = rankCount();
  for (let tier: u32 = 0; tier <= 3; tier++) memory.fill(tierArea(tier), 0, (<usize>ranks) << 2);
  memory.fill(joinedArea(), 0, (<usize>rankWords()) << 3);
  for (let i: u32 = 0; i < count; i++) {
    const rank = load<u32>(pairsArea() + (i << 3));
    const score = load<u32>(pairsArea() + (i << 3), 4);
    store<u32>(tierArea(0) + (rank << 2), score);
    join(rank, score, load<u64>(lastArea() + (i << 3)));
  }
  if (n == 0) return;
  for (let tier: u32 = 1; tier <= 3; tier++) if (load<u32>(USED + (tier << 2))) walkTier(tier, hashes, n);
}

// While tiers are walked, `membersArea` holds each joined rank's position and `walkArea` its last matched hash.

function join(rank: u32, at: u32, last: u64): void {
  mark(joinedArea(), rank);
  store<u32>(membersArea() + (rank << 2), at);
  store<u64>(walkArea() + (rank << 3), last);
}

function hasJoined(rank: u32): bool {
  return ((load<u64>(joinedArea() + ((rank >> 6) << 3)) >> (rank & 63)) & 1) != 0;
}

function walkTier(tier: u32, hashes: usize, n: u32): void {
  const first = edgeOf(kindOf(tier, false), 0, load<u64>(hashes));
  const ranks = rankCount();
  for (let rank: u32 = 0; rank < ranks; rank++) {
    if (!hasJoined(rank)) {
      if (first == 0 || !setHas(first + OWNERS, rank)) continue;
      join(rank, 0, 0);
    }
    const start = load<u32>(membersArea() + (rank << 2));
    let at = start;
    let last = load<u64>(walkArea() + (rank << 3));
    while (at < n) {
      const edge = edgeOf(kindOf(tier, at != 0), last, load<u64>(hashes + (at << 3)));
      if (edge == 0 || !setHas(edge + OWNERS, rank)) break;
      touch(edge);
      last = load<u64>(edge, EDGE_CHILD);
      at++;
    }
    store<u32>(tierArea(tier) + (rank << 2), at - start);
    join(rank, at, last);
  }
}

/** The newest edge: where a walk over all of them begins, see `olderThan`. */
export function firstEdge(): usize {
  return newest(TIERS);
}
