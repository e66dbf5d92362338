/**
 * Which ranks work on which blocks right now (spec kv-router 7): sequence hash -> ranks, with how many requests each.
 *
 * Mostly one rank has a block: then the slot holds it, value = rank * 2 + 1 and extra = requests. Else the value points to
 * 32 bytes: 0 set of ranks, 16 (rank, requests beyond the first) pairs.
 */
import { alloc, release, reserve } from './alloc';
import { pairGet, pairRemove, pairSet, pairFree } from './pairs';
import { activeArea, maskArea, rankCount } from './rank';
import { mark, setAdd, setBits, setCount, setFree, setHas, setRemove } from './rank-set';
import { rankWords } from './rank-words';
import {
  EXTRA,
  TABLE_COUNT,
  VALUE,
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
} from './table';

const HASHES: usize = memory.data(16, 16);
const BYTES: usize = 32;
const MORE: usize = 16;
export const SEQUENCES_FULL: u32 = 0xffffffff;

export function sequenceCount(): u32 {
  return load<u32>(HASHES, TABLE_COUNT);
}

function share(slot: usize, value: u32): usize {
  const record = alloc(BYTES);
  memory.fill(record, 0, BYTES);
  setAdd(record, value >> 1);
  const requests = load<u32>(slot, EXTRA);
  if (requests > 1) pairSet(record + MORE, value >> 1, requests - 1);
  store<usize>(slot, record, VALUE);
  return record;
}

/** A request of a rank holds these hashes; says how many of them no other of the rank held. */
export function sequenceAdd(rank: u32, hashes: usize, n: u32): u32 {
  if (!reserve(<u64>n * (512 + ((<u64>rankWords()) << 3)) + 1_048_576)) return SEQUENCES_FULL;
  let fresh: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const slot = tablePut(HASHES, load<u64>(hashes + (i << 3)));
    const value = load<u32>(slot, VALUE);
    if (value == 0) {
      store<u32>(slot, (rank << 1) | 1, VALUE);
      store<u32>(slot, 1, EXTRA);
      fresh++;
    } else if (value == ((rank << 1) | 1)) store<u32>(slot, load<u32>(slot, EXTRA) + 1, EXTRA);
    else {
      const record = value & 1 ? share(slot, value) : <usize>value;
      if (setAdd(record, rank)) fresh++;
      else pairSet(record + MORE, rank, pairGet(record + MORE, rank) + 1);
    }
  }
  return fresh;
}

/** A request of a rank lets go of these hashes; says how many of them no other of the rank holds. */
export function sequenceRemove(rank: u32, hashes: usize, n: u32): u32 {
  let gone: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const slot = tableGet(HASHES, load<u64>(hashes + (i << 3)));
    if (slot && removeOne(slot, rank)) gone++;
  }
  return gone;
}

function removeOne(slot: usize, rank: u32): bool {
  const value = load<u32>(slot, VALUE);
  if (value & 1) {
    if (value >> 1 != rank) return false;
    const requests = load<u32>(slot, EXTRA) - 1;
    if (requests) store<u32>(slot, requests, EXTRA);
    else tableDelete(HASHES, slot);
    return requests == 0;
  }
  const record = <usize>value;
  if (!setHas(record, rank)) return false;
  const more = pairGet(record + MORE, rank);
  if (more) {
    if (more == 1) pairRemove(record + MORE, rank);
    else pairSet(record + MORE, rank, more - 1);
    return false;
  }
  setRemove(record, rank);
  if (setCount(record) == 0) {
    dissolve(record);
    tableDelete(HASHES, slot);
  }
  return true;
}

function dissolve(record: usize): void {
  setFree(record);
  pairFree(record + MORE);
  release(record, BYTES);
}

/** Writes how many requests of a rank hold each hash, as u32. */
export function sequenceHolders(rank: u32, hashes: usize, n: u32, out: usize): void {
  for (let i: u32 = 0; i < n; i++) {
    const slot = tableGet(HASHES, load<u64>(hashes + (i << 3)));
    let requests: u32 = 0;
    if (slot) {
      const value = load<u32>(slot, VALUE);
      if (value == ((rank << 1) | 1)) requests = load<u32>(slot, EXTRA);
      else if (!(value & 1) && setHas(value, rank)) requests = 1 + pairGet(<usize>value + MORE, rank);
    }
    store<u32>(out + (i << 2), requests);
  }
}

/** Writes for every rank how many leading hashes are all held by it, as u32. */
export function sequenceDepths(hashes: usize, n: u32, out: usize): void {
  memory.fill(out, 0, (<usize>rankCount()) << 2);
  const words = rankWords();
  const active = activeArea();
  let live = false;
  let reached: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const slot = tableGet(HASHES, load<u64>(hashes + (i << 3)));
    if (slot == 0) break;
    const bits = holders(load<u32>(slot, VALUE), words);
    live = false;
    for (let w: u32 = 0; w < words; w++) {
      const held = load<u64>(bits + (w << 3));
      const was = i ? load<u64>(active + (w << 3)) : held;
      store<u64>(active + (w << 3), was & held);
      for (let gone = was & ~held; gone; gone &= gone - 1) store<u32>(out + (((w << 6) + <u32>ctz<u64>(gone)) << 2), i);
      live = live || (was & held) != 0;
    }
    if (!live) return;
    reached = i + 1;
  }
  if (!live) return;
  for (let w: u32 = 0; w < words; w++)
    for (let rest = load<u64>(active + (w << 3)); rest; rest &= rest - 1) store<u32>(out + (((w << 6) + <u32>ctz<u64>(rest)) << 2), reached);
}

function holders(value: u32, words: u32): usize {
  if (!(value & 1)) return setBits(value, maskArea(), words);
  const bits = maskArea();
  for (let w: u32 = 0; w < words; w++) store<u64>(bits + (w << 3), 0);
  mark(bits, value >> 1);
  return bits;
}

/** Forgets everything that a rank works on. */
export function sequenceForget(rank: u32): void {
  for (let at: u32 = 0; at < span(HASHES);) {
    const segment = segmentAt(HASHES, at);
    at += reach(HASHES, segment);
    for (let slot = firstSlot(segment); slot < endSlot(segment);) {
      // Another slot may move here, so this place is looked at again.
      if (forgetAt(slot, rank)) tableErase(HASHES, slot);
      else slot += 16;
    }
  }
  if (sequenceCount() == 0) tableFree(HASHES);
}

/** Takes a rank from a slot; true if nobody is left there. */
function forgetAt(slot: usize, rank: u32): bool {
  const value = load<u32>(slot, VALUE);
  if (value & 1) return value >> 1 == rank;
  if (value == 0 || !setRemove(value, rank)) return false;
  pairRemove(<usize>value + MORE, rank);
  if (setCount(value) != 0) return false;
  dissolve(value);
  return true;
}
