/** Which ranks cover how much of a node. */
import { CUTS, FULL, lengthOf } from './node';
import { pairCount, pairGet, pairRemove, pairSet } from './pairs';
import { addCoverage, membersArea } from './rank';
import { setAdd, setCount, setHas, setList, setRemove } from './rank-set';

/** How many blocks of the edge a rank covers. */
export function reachOf(node: usize, rank: u32): u32 {
  return setHas(node + FULL, rank) ? lengthOf(node) : pairGet(node + CUTS, rank);
}

export function makeFull(node: usize, rank: u32): void {
  if (setAdd(node + FULL, rank) && !(pairCount(node + CUTS) != 0 && pairRemove(node + CUTS, rank))) addCoverage(rank, 1);
}

/** Sets a rank's cutoff, 0 < k < length; the rank is not full. */
export function setCut(node: usize, rank: u32, k: u32): void {
  if (pairSet(node + CUTS, rank, k)) addCoverage(rank, 1);
}

/** A rank covers at least the first `k` blocks. */
export function coverPrefix(node: usize, rank: u32, k: u32): void {
  if (k == 0) return;
  if (k >= lengthOf(node)) makeFull(node, rank);
  else if (!setHas(node + FULL, rank) && k > pairGet(node + CUTS, rank)) setCut(node, rank, k);
}

/** A rank covers exactly the first `k` blocks, fewer than before; 0 takes it from the node. */
export function shrinkTo(node: usize, rank: u32, k: u32): void {
  const held = setRemove(node + FULL, rank);
  if (k) {
    if (pairSet(node + CUTS, rank, k) && !held) addCoverage(rank, 1);
  } else if (held || pairRemove(node + CUTS, rank)) addCoverage(rank, -1);
}

/** Before blocks are appended to a leaf: all full ranks but one cover only what was there. */
export function cutOthers(node: usize, rank: u32): void {
  const full = node + FULL;
  if (setCount(full) == 1 && setHas(full, rank)) return;
  const members = membersArea();
  const count = setList(full, members);
  for (let i: u32 = 0; i < count; i++) {
    const other = load<u32>(members + (i << 2));
    if (other == rank) continue;
    setRemove(full, other);
    pairSet(node + CUTS, other, lengthOf(node));
  }
}

/** Whether no rank covers any of it. */
export function isDead(node: usize): bool {
  return setCount(node + FULL) == 0 && pairCount(node + CUTS) == 0;
}
