/**
 * A map of u64 keys by extendible hashing: it never moves more than one segment at a time.
 *
 * | what    | layout in bytes |
 * |---------|-----------------|
 * | table   | 0 root (the segment while depth is 0, then the directory; 0 = empty), 4 depth, 8 count, 12 segments |
 * | directory | 2^depth references to segments |
 * | reference | pointer to a segment, of which the low four bits are log2(slots) - 3: a slot is found without its header |
 * | segment | 0 depth, 4 count, 8 slots - 1, 12 unused, then the slots |
 * | slot    | 0 key u64, 8 value u32 (0 = free slot), 12 extra u32 |
 *
 * Keys may be small or in sequence, so they are multiplied by an odd constant; high bits choose the segment, middle
 * bits the slot. A segment starts with 8 slots, doubles up to 512, then divides. Deletion shifts back: no tombstones.
 * Keys can be chosen to collide: then segments double past 512 instead of dividing again and again.
 */
import { affordable, alloc, release } from './alloc';

export const TABLE_COUNT: usize = 8;
export const VALUE: usize = 8;
export const EXTRA: usize = 12;
const DEPTH: usize = 4;
const SEGMENTS: usize = 12;
const SEGMENT_COUNT: usize = 4;
const MASK: usize = 8;
const SLOTS: usize = 16;
const FACTOR: u64 = 0x9e3779b97f4a7c15;
const USUAL_SLOTS: u32 = 512;
const DEEPEST: u32 = 20;
/** Two segments with no more entries than this become one again: three quarters of what divides it. */
const JOINED: u32 = 288;
const MOST_SLOTS: u32 = 8 << 15;

function segmentBytes(slots: u32): usize {
  return SLOTS + ((<usize>slots) << 4);
}

function newSegment(slots: u32, depth: u32): usize {
  const segment = alloc(segmentBytes(slots));
  memory.fill(segment, 0, segmentBytes(slots));
  store<u32>(segment, depth);
  store<u32>(segment, slots - 1, MASK);
  return segment;
}

/** A reference to a segment of `8 << log` slots. */
function referTo(segment: usize): usize {
  return segment | <usize>(ctz<u32>(load<u32>(segment, MASK) + 1) - 3);
}

function segmentIn(reference: usize): usize {
  return reference & ~15;
}

function maskIn(reference: usize): u32 {
  return ((<u32>8) << (<u32>(reference & 15))) - 1;
}

function referenceOf(table: usize, mixed: u64): usize {
  const root = load<usize>(table);
  const depth = load<u32>(table, DEPTH);
  return depth ? load<usize>(root + ((<usize>(mixed >> (64 - depth))) << 2)) : root;
}

/** The slot of a key, or 0. */
export function tableGet(table: usize, key: u64): usize {
  if (load<usize>(table) == 0) return 0;
  const mixed = key * FACTOR;
  const reference = referenceOf(table, mixed);
  const segment = segmentIn(reference);
  const mask = maskIn(reference);
  let i = <u32>(mixed >> 32) & mask;
  while (true) {
    const slot = segment + SLOTS + (i << 4);
    if (load<u32>(slot, VALUE) == 0) return 0;
    if (load<u64>(slot) == key) return slot;
    i = (i + 1) & mask;
  }
}

/** The slot of a key; when its value is 0 it is new, and the caller must store one. */
export function tablePut(table: usize, key: u64): usize {
  if (load<usize>(table) == 0) {
    store<usize>(table, referTo(newSegment(8, 0)));
    store<u32>(table, 1, SEGMENTS);
  }
  const mixed = key * FACTOR;
  while (true) {
    const reference = referenceOf(table, mixed);
    const segment = segmentIn(reference);
    const mask = maskIn(reference);
    let i = <u32>(mixed >> 32) & mask;
    let slot: usize;
    while (true) {
      slot = segment + SLOTS + (i << 4);
      if (load<u32>(slot, VALUE) == 0) break;
      if (load<u64>(slot) == key) return slot;
      i = (i + 1) & mask;
    }
    const count = load<u32>(segment, SEGMENT_COUNT);
    if (count < mask - (mask >> 2)) {
      store<u64>(slot, key);
      store<u32>(slot, 0, EXTRA);
      store<u32>(segment, count + 1, SEGMENT_COUNT);
      store<u32>(table, load<u32>(table, TABLE_COUNT) + 1, TABLE_COUNT);
      return slot;
    }
    growSegment(table, segment, mixed);
  }
}

/** Reads where a key will be looked for: many such reads wait for memory together, where one search after the other would not. */
export function tableTouch(table: usize, key: u64): u32 {
  const mixed = key * FACTOR;
  const reference = referenceOf(table, mixed);
  return load<u32>(segmentIn(reference) + SLOTS + ((<u32>(mixed >> 32) & maskIn(reference)) << 4), VALUE);
}

/** Whether the next new key of this segment makes it grow. */
export function crowdedSegment(table: usize, key: u64): usize {
  if (load<usize>(table) == 0) return 0;
  const segment = segmentIn(referenceOf(table, key * FACTOR));
  const mask = load<u32>(segment, MASK);
  return load<u32>(segment, SEGMENT_COUNT) < mask - (mask >> 2) ? 0 : segment;
}

/** Removes the key of a slot. Other slots of the segment may move, and it may be joined with its neighbour. */
export function tableDelete(table: usize, slot: usize): void {
  const mixed = load<u64>(slot) * FACTOR;
  const segment = tableErase(table, slot);
  if ((load<u32>(segment, SEGMENT_COUNT) & 31) == 0) join(table, segment, mixed);
}

/** The same where a walk over the segment goes on: it stays where it is. */
export function tableErase(table: usize, slot: usize): usize {
  const segment = segmentIn(referenceOf(table, load<u64>(slot) * FACTOR));
  const mask = load<u32>(segment, MASK);
  let hole = <u32>((slot - segment - SLOTS) >> 4);
  let i = hole;
  while (true) {
    i = (i + 1) & mask;
    const next = segment + SLOTS + (i << 4);
    if (load<u32>(next, VALUE) == 0) break;
    const home = <u32>((load<u64>(next) * FACTOR) >> 32) & mask;
    if (((i - home) & mask) < ((i - hole) & mask)) continue;
    v128.store(segment + SLOTS + (hole << 4), v128.load(next));
    hole = i;
  }
  v128.store(segment + SLOTS + (hole << 4), i64x2.splat(0));
  store<u32>(segment, load<u32>(segment, SEGMENT_COUNT) - 1, SEGMENT_COUNT);
  store<u32>(table, load<u32>(table, TABLE_COUNT) - 1, TABLE_COUNT);
  return segment;
}

/** Joins a segment with the one that it was divided from when both have room in one, and room to grow: else sizes would only ever rise. */
function join(table: usize, segment: usize, mixed: u64): void {
  const depth = load<u32>(segment);
  if (depth == 0) return;
  const whole = load<u32>(table, DEPTH);
  const prefix = mixed >> (64 - depth);
  const other = segmentIn(load<usize>(load<usize>(table) + ((<usize>((prefix ^ 1) << (whole - depth))) << 2)));
  const count = load<u32>(segment, SEGMENT_COUNT) + load<u32>(other, SEGMENT_COUNT);
  if (load<u32>(other) != depth || count > JOINED || !affordable(segmentBytes(USUAL_SLOTS))) return;
  const joined = newSegment(USUAL_SLOTS, depth - 1);
  pour(segment, joined);
  pour(other, joined);
  direct(table, prefix >> 1, whole - depth + 1, joined);
  release(segment, segmentBytes(load<u32>(segment, MASK) + 1));
  release(other, segmentBytes(load<u32>(other, MASK) + 1));
  store<u32>(table, load<u32>(table, SEGMENTS) - 1, SEGMENTS);
}

/** Moves all slots of a segment. */
function pour(from: usize, to: usize): void {
  const end = endSlot(from);
  for (let slot = from + SLOTS; slot < end; slot += 16) if (load<u32>(slot, VALUE)) insertMoved(to, slot);
}

function insertMoved(segment: usize, slot: usize): void {
  const mask = load<u32>(segment, MASK);
  let i = <u32>((load<u64>(slot) * FACTOR) >> 32) & mask;
  while (load<u32>(segment + SLOTS + (i << 4), VALUE) != 0) i = (i + 1) & mask;
  v128.store(segment + SLOTS + (i << 4), v128.load(slot));
  store<u32>(segment, load<u32>(segment, SEGMENT_COUNT) + 1, SEGMENT_COUNT);
}

/** Points `1 << span` directory entries, the first for `prefix`, to a segment. */
function direct(table: usize, prefix: u64, span: u32, segment: usize): void {
  const first = load<usize>(table) + ((<usize>(prefix << span)) << 2);
  const reference = referTo(segment);
  for (let i: u32 = 0; i < (<u32>1) << span; i++) store<usize>(first + (i << 2), reference);
}

function growSegment(table: usize, segment: usize, mixed: u64): void {
  const slots = load<u32>(segment, MASK) + 1;
  const depth = load<u32>(segment);
  const segments = load<u32>(table, SEGMENTS);
  const divides = slots >= USUAL_SLOTS && depth < DEEPEST && (segments < 8 + load<u32>(table, TABLE_COUNT) / 48 || slots == MOST_SLOTS);
  if (divides) divide(table, segment, mixed, depth);
  else widen(table, segment, mixed, depth);
  release(segment, segmentBytes(slots));
}

function widen(table: usize, segment: usize, mixed: u64, depth: u32): void {
  const slots = load<u32>(segment, MASK) + 1;
  const wider = newSegment(slots * 2, depth);
  pour(segment, wider);
  const whole = load<u32>(table, DEPTH);
  if (whole == 0) store<usize>(table, referTo(wider));
  else direct(table, depth ? mixed >> (64 - depth) : 0, whole - depth, wider);
}

function fitting(count: u32): u32 {
  let slots = USUAL_SLOTS;
  while (count >= (slots >> 2) * 3) slots <<= 1;
  return slots;
}

function divide(table: usize, segment: usize, mixed: u64, depth: u32): void {
  if (load<u32>(table, DEPTH) == depth) deepen(table, depth);
  const end = segment + segmentBytes(load<u32>(segment, MASK) + 1);
  const bit: u64 = (<u64>1) << (63 - depth);
  let upper: u32 = 0;
  for (let slot = segment + SLOTS; slot < end; slot += 16) if (load<u32>(slot, VALUE) && (load<u64>(slot) * FACTOR) & bit) upper++;
  const low = newSegment(fitting(load<u32>(segment, SEGMENT_COUNT) - upper), depth + 1);
  const high = newSegment(fitting(upper), depth + 1);
  for (let slot = segment + SLOTS; slot < end; slot += 16)
    if (load<u32>(slot, VALUE)) insertMoved((load<u64>(slot) * FACTOR) & bit ? high : low, slot);
  const prefix = (depth ? mixed >> (64 - depth) : 0) << 1;
  const span = load<u32>(table, DEPTH) - depth - 1;
  direct(table, prefix, span, low);
  direct(table, prefix | 1, span, high);
  store<u32>(table, load<u32>(table, SEGMENTS) + 1, SEGMENTS);
}

/** Doubles the directory. */
function deepen(table: usize, depth: u32): void {
  const old = load<usize>(table);
  const wide = alloc((<usize>8) << depth);
  if (depth == 0) {
    store<usize>(wide, old);
    store<usize>(wide, old, 4);
  } else {
    for (let i: u32 = 0; i < (<u32>1) << depth; i++) {
      const segment = load<usize>(old + (i << 2));
      store<usize>(wide + (i << 3), segment);
      store<usize>(wide + (i << 3), segment, 4);
    }
    release(old, (<usize>4) << depth);
  }
  store<usize>(table, wide);
  store<u32>(table, depth + 1, DEPTH);
}

// Walking a table: for (let at = 0; at < span(t); at += reach(t, at)) for (slot = firstSlot(segmentAt(t, at)); slot < endSlot(…); slot += 16)

/** How many places a walk over the segments of a table has. */
export function span(table: usize): u32 {
  return load<usize>(table) == 0 ? 0 : (<u32>1) << load<u32>(table, DEPTH);
}

export function segmentAt(table: usize, at: u32): usize {
  const root = load<usize>(table);
  return segmentIn(load<u32>(table, DEPTH) ? load<usize>(root + (at << 2)) : root);
}

/** How many places of the walk one segment takes. */
export function reach(table: usize, segment: usize): u32 {
  return (<u32>1) << (load<u32>(table, DEPTH) - load<u32>(segment));
}

export function firstSlot(segment: usize): usize {
  return segment + SLOTS;
}

export function endSlot(segment: usize): usize {
  return segment + segmentBytes(load<u32>(segment, MASK) + 1);
}

/** Frees everything a table holds; it is empty afterwards. */
export function tableFree(table: usize): void {
  const all = span(table);
  for (let at: u32 = 0; at < all;) {
    const segment = segmentAt(table, at);
    at += reach(table, segment);
    release(segment, segmentBytes(load<u32>(segment, MASK) + 1));
  }
  const depth = load<u32>(table, DEPTH);
  if (depth) release(load<usize>(table), (<usize>4) << depth);
  v128.store(table, i64x2.splat(0));
}
