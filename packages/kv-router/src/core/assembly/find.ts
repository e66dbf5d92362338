/** Which ranks hold how much of a prompt (spec kv-router 3.2): pairs of (rank, score) in `pairsArea`. */
import { CUTS, FULL, ROOT, blocksOf, childOf, lengthOf, tokensOf } from './node';
import { pairCount, pairNumber, pairRank } from './pairs';
import { activeArea, lastArea, maskArea, pairsArea } from './rank';
import { setBits, setCount } from './rank-set';
import { rankWords } from './rank-words';
import { nextTick, touch } from './recency';
import { matching } from './words';

/** Stop once a single rank is left: its score may then be smaller than what it holds. */
export const EARLY_EXIT: u32 = 1;
/** Also write the block_hash of each rank's last matched block. */
export const WITH_LAST: u32 = 2;

let found: u32 = 0;
let live: u32 = 0;
let last: u64 = 0;
let withLast: bool = false;

function emit(rank: u32, score: u32, hash: u64): void {
  const at = (<usize>found) << 3;
  store<u32>(pairsArea() + at, rank);
  store<u32>(pairsArea() + at, score, 4);
  if (withLast) store<u64>(lastArea() + at, hash);
  found++;
}

/** Looks `n` token hashes up and says how many ranks hold at least the first. */
export function find(hashes: usize, n: u32, flags: u32): u32 {
  nextTick();
  found = 0;
  live = 0;
  last = 0;
  withLast = (flags & WITH_LAST) != 0;
  let depth: u32 = 0;
  let node = n ? childOf(ROOT, load<u64>(hashes)) : 0;
  while (node) {
    const length = lengthOf(node);
    const m = matching(tokensOf(node), hashes + (depth << 3), min(length, n - depth));
    touch(node);
    if (depth == 0) begin(node, m);
    else narrowTo(node, depth, m);
    depth += m;
    if (withLast && m) last = load<u64>(blocksOf(node) + ((m - 1) << 3));
    if (live == 0 || m < length || depth == n || (live == 1 && (flags & EARLY_EXIT) != 0)) break;
    node = childOf(node, load<u64>(hashes + (depth << 3)));
  }
  if (live) emitBits(activeArea(), depth);
  return found;
}

function emitBits(bits: usize, score: u32): void {
  for (let w: u32 = 0, words = rankWords(); w < words; w++)
    for (let rest = load<u64>(bits + (w << 3)); rest; rest &= rest - 1) emit((w << 6) + <u32>ctz<u64>(rest), score, last);
}

/** The first node: its full ranks go on, its cutoff ranks end here. */
function begin(node: usize, m: u32): void {
  const words = rankWords();
  const active = activeArea();
  const bits = setBits(node + FULL, active, words);
  if (bits != active) for (let w: u32 = 0; w < words; w++) store<u64>(active + (w << 3), load<u64>(bits + (w << 3)));
  live = setCount(node + FULL);
  for (let i: u32 = 0, cuts = pairCount(node + CUTS); i < cuts; i++) {
    const score = min(pairNumber(node + CUTS, i), m);
    emit(pairRank(node + CUTS, i), score, withLast ? load<u64>(blocksOf(node) + ((score - 1) << 3)) : 0);
  }
}

/** Every further node: only its full ranks stay; the others get what they cover of it. */
function narrowTo(node: usize, depth: u32, m: u32): void {
  const words = rankWords();
  const active = activeArea();
  for (let i: u32 = 0, cuts = pairCount(node + CUTS); i < cuts; i++) {
    const rank = pairRank(node + CUTS, i);
    const word = active + ((rank >> 6) << 3);
    const bit = (<u64>1) << (rank & 63);
    if ((load<u64>(word) & bit) == 0) continue;
    store<u64>(word, load<u64>(word) & ~bit);
    live--;
    const score = min(pairNumber(node + CUTS, i), m);
    emit(rank, depth + score, withLast && score ? load<u64>(blocksOf(node) + ((score - 1) << 3)) : last);
  }
  const bits = setBits(node + FULL, maskArea(), words);
  for (let w: u32 = 0; w < words; w++) {
    const was = load<u64>(active + (w << 3));
    let gone = was & ~load<u64>(bits + (w << 3));
    if (gone == 0) continue;
    store<u64>(active + (w << 3), was ^ gone);
    for (; gone; gone &= gone - 1) {
      emit((w << 6) + <u32>ctz<u64>(gone), depth, last);
      live--;
    }
  }
}
