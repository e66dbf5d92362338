/** Dividing a node and lengthening a leaf (spec kv-router 3.3, rules S and A). */
import { reserve } from './alloc';
import { cutOthers, isDead, makeFull, setCut } from './cover';
import { entryOf, setEntry } from './lookup';
import { CUTS, FULL, INTERNAL, ODD, addChild, append, blocksOf, flag, has, lengthOf, moveChildren, newNode, reap, tokensOf, truncate } from './node';
import { pairCount, pairNumber, pairRank, pairRemove } from './pairs';
import { addCoverage, membersArea } from './rank';
import { setCopy, setList } from './rank-set';

/** Rule A: a leaf gets more blocks, which only `rank` covers. */
export function lengthen(node: usize, rank: u32, tokens: usize, blocks: usize, n: u32): void {
  cutOthers(node, rank);
  append(node, tokens, blocks, n);
  makeFull(node, rank);
}

/** Rule S: the node keeps edge[0..at), a new child gets the rest and the children. */
export function split(node: usize, at: u32): void {
  const rest = lengthOf(node) - at;
  const suffix = newNode(tokensOf(node) + (at << 3), blocksOf(node) + (at << 3), rest);
  moveChildren(node, suffix);
  setCopy(suffix + FULL, node + FULL);
  const members = membersArea();
  const full = setList(suffix + FULL, members);
  for (let i: u32 = 0; i < full; i++) addCoverage(load<u32>(members + (i << 2)), 1);
  splitCuts(node, suffix, at);
  truncate(node, at);
  flag(node, INTERNAL);
  // A suffix that no rank reaches would only be overwritten later: it is never attached.
  if (isDead(suffix)) reap(suffix);
  else addChild(node, suffix);
  redirect(suffix);
}

function splitCuts(node: usize, suffix: usize, at: u32): void {
  for (let i = pairCount(node + CUTS); i > 0; i--) {
    const rank = pairRank(node + CUTS, i - 1);
    const k = pairNumber(node + CUTS, i - 1);
    if (k < at) continue;
    // Going down, what a removal moves into this place has been seen already.
    pairRemove(node + CUTS, rank);
    addCoverage(rank, -1);
    makeFull(node, rank);
    if (k > at) setCut(suffix, rank, k - at);
  }
}

/** Points the lookup entries of what moved to the suffix. */
function redirect(suffix: usize): void {
  const members = membersArea();
  const full = setList(suffix + FULL, members);
  for (let i: u32 = 0; i < full; i++) redirectRank(suffix, load<u32>(members + (i << 2)), lengthOf(suffix));
  for (let i: u32 = 0, cuts = pairCount(suffix + CUTS); i < cuts; i++) redirectRank(suffix, pairRank(suffix + CUTS, i), pairNumber(suffix + CUTS, i));
}

function redirectRank(suffix: usize, rank: u32, n: u32): void {
  const blocks = blocksOf(suffix);
  // Under a foreign hash the rank gets entries that it did not have: then memory must be looked after.
  const roomy = !has(suffix, ODD) || reserve(<u64>n * 192 + 65536);
  for (let i: u32 = 0; i < n; i++) {
    const block = load<u64>(blocks + (i << 3));
    if (roomy || entryOf(rank, block)) setEntry(rank, block, suffix, i);
  }
}
