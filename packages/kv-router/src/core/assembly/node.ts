/**
 * Nodes of the compressed tree (spec kv-router 3.1): 128 bytes on two cache lines, the first of which is all that most
 * queries read.
 *
 * | at | what |
 * |----|------|
 * | 0  | recency: newer, older, tick, listed |
 * | 16 | edge: pointer, 20 length, 24 capacity: tokens_hash[capacity], then block_hash[capacity] |
 * | 28 | flags |
 * | 32 | full: set of the ranks that cover the whole edge |
 * | 48 | children by first tokens_hash: the only child {0 node, 8 count}, or a table once there were two |
 * | 64 | cutoffs: (rank, k), 0 < k < length, for ranks that cover edge[0..k) |
 * | 76 | parent, 80 lookup entries that point here, 84 link of the free queue |
 * | 96 | index of an odd node: block_hash -> position + 1, built when it is long and asked |
 *
 * A node lives while it has a parent or lookup entries point to it: ranks may still store below a detached one. Nodes
 * that neither holds are queued, and freed at the end of the event.
 */
import { alloc, carve, granted, release } from './alloc';
import { pairCount, pairFree, pairRank } from './pairs';
import { addCoverage, membersArea } from './rank';
import { setFree, setList } from './rank-set';
import { TREE, delist, demote, enlist, touch } from './recency';
import { TABLE_COUNT, VALUE, endSlot, firstSlot, reach, segmentAt, span, tableDelete, tableFree, tableGet, tablePut } from './table';
import { copyWords } from './words';

const BYTES: usize = 128;
const EDGE: usize = 16;
const LENGTH: usize = 20;
const CAPACITY: usize = 24;
const FLAGS: usize = 28;
export const FULL: usize = 32;
const KIDS: usize = 48;
export const CUTS: usize = 64;
const PARENT: usize = 76;
const REFS: usize = 80;
const LINK: usize = 84;
export const INDEX: usize = 96;

/** It has, or had, a child. */
export const INTERNAL: u32 = 1;
/** Positions of block hashes are not to be had from hints: see position.ts. */
export const ODD: u32 = 2;
const QUEUED: u32 = 4;
const MANY: u32 = 8;
/** Evicted, but lookup entries still point here; it stands in no list. */
export const EVICTED: u32 = 16;

let pool: usize = 0;
let queue: usize = 0;
let nodes: u32 = 0;

/** The root: an empty edge. It is never freed. */
export const ROOT: usize = memory.data(128, 64);

export function nodeCount(): u32 {
  return nodes + 1;
}

export function lengthOf(node: usize): u32 {
  return load<u32>(node, LENGTH);
}

export function tokensOf(node: usize): usize {
  return load<usize>(node, EDGE);
}

export function blocksOf(node: usize): usize {
  return load<usize>(node, EDGE) + ((<usize>load<u32>(node, CAPACITY)) << 3);
}

export function has(node: usize, flag: u32): bool {
  return (load<u32>(node, FLAGS) & flag) != 0;
}

export function flag(node: usize, flags: u32): void {
  store<u32>(node, load<u32>(node, FLAGS) | flags, FLAGS);
}

export function unflag(node: usize, flags: u32): void {
  store<u32>(node, load<u32>(node, FLAGS) & ~flags, FLAGS);
}

export function parentOf(node: usize): usize {
  return load<usize>(node, PARENT);
}

export function refsOf(node: usize): u32 {
  return load<u32>(node, REFS);
}

// ---- life

/** A new, detached node with these blocks. */
export function newNode(tokens: usize, blocks: usize, n: u32): usize {
  if (pool == 0) refill();
  const node = pool;
  pool = load<usize>(node);
  memory.fill(node, 0, BYTES);
  setCapacity(node, n);
  append(node, tokens, blocks, n);
  nodes++;
  touch(node);
  enlist(TREE, node);
  return node;
}

function refill(): void {
  const slab = carve(BYTES * 32);
  for (let i: u32 = 0; i < 32; i++) {
    store<usize>(slab + <usize>i * BYTES, pool);
    pool = slab + <usize>i * BYTES;
  }
}

/** One lookup entry more points to a node. */
export function hold(node: usize): void {
  store<u32>(node, load<u32>(node, REFS) + 1, REFS);
}

/** One lookup entry less. */
export function letGo(node: usize): void {
  store<u32>(node, load<u32>(node, REFS) - 1, REFS);
  reap(node);
}

/** Queues a node that nothing holds. */
export function reap(node: usize): void {
  if (load<usize>(node, PARENT) != 0 || load<u32>(node, REFS) != 0 || has(node, QUEUED)) return;
  flag(node, QUEUED);
  store<usize>(node, queue, LINK);
  queue = node;
}

/** Frees what was queued: at the end of an event. */
export function drain(): void {
  while (queue) {
    const node = queue;
    queue = load<usize>(node, LINK);
    unflag(node, QUEUED);
    if (load<usize>(node, PARENT) == 0 && load<u32>(node, REFS) == 0) free(node);
  }
}

function free(node: usize): void {
  dropChildren(node);
  uncover(node);
  release(load<usize>(node, EDGE), edgeBytes(load<u32>(node, CAPACITY)));
  tableFree(node + INDEX);
  if (!has(node, EVICTED)) delist(TREE, node);
  nodes--;
  store<usize>(node, pool);
  pool = node;
}

/** Takes every rank from a node. */
export function uncover(node: usize): void {
  const members = membersArea();
  const count = setList(node + FULL, members);
  for (let i: u32 = 0; i < count; i++) addCoverage(load<u32>(members + (i << 2)), -1);
  for (let i: u32 = 0, cuts = pairCount(node + CUTS); i < cuts; i++) addCoverage(pairRank(node + CUTS, i), -1);
  setFree(node + FULL);
  pairFree(node + CUTS);
}

// ---- edge

function edgeBytes(capacity: u32): usize {
  return (<usize>capacity) << 4;
}

/** Gives an edge room for at least `n` blocks, and not much more. */
export function setCapacity(node: usize, n: u32): void {
  const capacity = <u32>(granted(edgeBytes(n)) >> 4);
  const old = load<u32>(node, CAPACITY);
  if (capacity == old) return;
  const edge = alloc(edgeBytes(capacity));
  if (old) {
    const length = min(load<u32>(node, LENGTH), n);
    copyWords(edge, load<usize>(node, EDGE), length);
    copyWords(edge + (capacity << 3), blocksOf(node), length);
    release(load<usize>(node, EDGE), edgeBytes(old));
  }
  store<usize>(node, edge, EDGE);
  store<u32>(node, capacity, CAPACITY);
}

/** Adds blocks to the end of an edge. */
export function append(node: usize, tokens: usize, blocks: usize, n: u32): void {
  const length = load<u32>(node, LENGTH);
  if (length + n > load<u32>(node, CAPACITY)) setCapacity(node, length + n);
  copyWords(tokensOf(node) + (length << 3), tokens, n);
  copyWords(blocksOf(node) + (length << 3), blocks, n);
  store<u32>(node, length + n, LENGTH);
  tableFree(node + INDEX);
}

/** Cuts an edge off behind `n` blocks. */
export function truncate(node: usize, n: u32): void {
  store<u32>(node, n, LENGTH);
  setCapacity(node, n);
  tableFree(node + INDEX);
}

// ---- children

function keyOf(child: usize): u64 {
  return load<u64>(tokensOf(child));
}

export function childCount(node: usize): u32 {
  return load<u32>(node + KIDS, TABLE_COUNT);
}

/** The child whose edge begins with a tokens_hash, or 0. */
export function childOf(node: usize, tokens: u64): usize {
  const only = load<usize>(node, KIDS);
  if (only == 0) return 0;
  if (has(node, MANY)) {
    const slot = tableGet(node + KIDS, tokens);
    return slot ? load<usize>(slot, VALUE) : 0;
  }
  return keyOf(only) == tokens ? only : 0;
}

export function addChild(node: usize, child: usize): void {
  flag(node, INTERNAL);
  store<usize>(child, node, PARENT);
  const only = load<usize>(node, KIDS);
  if (only == 0) {
    store<usize>(node, child, KIDS);
    store<u32>(node + KIDS, 1, TABLE_COUNT);
    return;
  }
  if (!has(node, MANY)) {
    v128.store(node, i64x2.splat(0), KIDS);
    flag(node, MANY);
    store<usize>(tablePut(node + KIDS, keyOf(only)), only, VALUE);
  }
  store<usize>(tablePut(node + KIDS, keyOf(child)), child, VALUE);
}

/** Takes a node from its parent, which stays internal and is next in line to be looked at when memory is short. */
export function detach(node: usize): void {
  const parent = load<usize>(node, PARENT);
  if (parent == 0) return;
  store<usize>(node, 0, PARENT);
  if (has(parent, MANY)) tableDelete(parent + KIDS, tableGet(parent + KIDS, keyOf(node)));
  else store<u32>(parent + KIDS, 0, TABLE_COUNT);
  if (childCount(parent) == 0) forgetChildren(parent);
  if (parent != ROOT && childCount(parent) == 0) demote(TREE, parent);
  reap(node);
}

function forgetChildren(node: usize): void {
  if (has(node, MANY)) tableFree(node + KIDS);
  else v128.store(node, i64x2.splat(0), KIDS);
  unflag(node, MANY);
}

/** Writes the children of a node as u32 and says how many. */
export function listChildren(node: usize, out: usize): u32 {
  if (!has(node, MANY)) {
    store<usize>(out, load<usize>(node, KIDS));
    return childCount(node);
  }
  let n: u32 = 0;
  for (let at: u32 = 0, all = span(node + KIDS); at < all;) {
    const segment = segmentAt(node + KIDS, at);
    at += reach(node + KIDS, segment);
    const end = endSlot(segment);
    for (let slot = firstSlot(segment); slot < end; slot += 16) if (load<u32>(slot, VALUE)) store<usize>(out + (n++ << 2), load<usize>(slot, VALUE));
  }
  return n;
}

/** Gives every child the parent `to`, 0 to detach them. */
function adopt(node: usize, to: usize): void {
  if (!has(node, MANY)) {
    const only = load<usize>(node, KIDS);
    if (only) reparent(only, to);
    return;
  }
  for (let at: u32 = 0, all = span(node + KIDS); at < all;) {
    const segment = segmentAt(node + KIDS, at);
    at += reach(node + KIDS, segment);
    const end = endSlot(segment);
    for (let slot = firstSlot(segment); slot < end; slot += 16) if (load<u32>(slot, VALUE)) reparent(load<usize>(slot, VALUE), to);
  }
}

function reparent(child: usize, to: usize): void {
  store<usize>(child, to, PARENT);
  if (to == 0) reap(child);
}

/** Detaches all children. */
export function dropChildren(node: usize): void {
  adopt(node, 0);
  forgetChildren(node);
}

/** Moves the children and the marks that go with them to a node that has none. */
export function moveChildren(from: usize, to: usize): void {
  v128.store(to, v128.load(from, KIDS), KIDS);
  flag(to, load<u32>(from, FLAGS) & (INTERNAL | MANY | ODD));
  adopt(to, to);
  v128.store(from, i64x2.splat(0), KIDS);
  unflag(from, MANY);
}
