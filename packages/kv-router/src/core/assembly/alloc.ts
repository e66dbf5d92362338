/**
 * Memory in size classes over one linear memory.
 *
 * Classes are 16, 32, 48, 64, 96, 128, 192, … bytes; from 512 on each has 16 more, so that a table segment of 2^k slots
 * fits together with its header. A freed block goes to its class's list and is given out again; nothing is merged.
 * The limit is soft: whoever changes the index asks `reserve` first, and only then allocates, so that "full" is an
 * answer and never a trap. What a misfit of classes may need beyond it comes from a spare above the limit.
 */
const CLASSES: u32 = 64;
const LISTS: usize = memory.data(4 * 64, 16);
const PAGE: u64 = 65536;

let top: usize = (__heap_base + 63) & ~63;
let limit: u64 = 3_758_096_384;
let spare: u64 = 134_217_728;
let live: usize = 0;
let free: usize = 0;
let largest: usize = 0;

/** The class that holds `bytes`. */
function classOf(bytes: usize): u32 {
  if (bytes <= 32) return bytes <= 16 ? 0 : 1;
  const wide = bytes > 384;
  const size = wide ? bytes - 16 : bytes;
  const log = 31 - <u32>clz<u32>(<u32>size - 1);
  const half = (<usize>1) << log;
  const found = 2 * (log - 5) + (size <= half + (half >> 1) ? 2 : 3);
  return wide && found < 9 ? 9 : found;
}

function sizeOfClass(c: u32): usize {
  if (c < 2) return 16 << c;
  const size: usize = c & 1 ? (<usize>1) << ((c >> 1) + 5) : (<usize>3) << ((c >> 1) + 3);
  return c < 9 ? size : size + 16;
}

/** How many bytes an allocation of `bytes` really has. */
export function granted(bytes: usize): usize {
  return sizeOfClass(classOf(bytes));
}

function grow(to: u64): bool {
  const have = <u64>memory.size() * PAGE;
  if (to <= have) return true;
  if (to > limit + spare) return false;
  const wanted = <i32>((max(to - have, have >> 3) + PAGE - 1) / PAGE);
  if (<u64>memory.size() + wanted <= 65536 && memory.grow(wanted) >= 0) return true;
  return memory.grow(<i32>((to - have + PAGE - 1) / PAGE)) >= 0;
}

function bump(bytes: usize): usize {
  const at = top;
  if (!grow(<u64>at + bytes)) unreachable();
  top = at + bytes;
  return at;
}

/** Takes `bytes`, not cleared. */
export function alloc(bytes: usize): usize {
  if (bytes > largest) largest = bytes;
  return allocBuffer(bytes);
}

/** The same for a buffer, whose size says nothing about the index. */
export function allocBuffer(bytes: usize): usize {
  const c = classOf(bytes);
  const size = sizeOfClass(c);
  live += size;
  const list = LISTS + (c << 2);
  const head = load<usize>(list);
  if (head == 0) return bump(size);
  store<usize>(list, load<usize>(head));
  free -= size;
  return head;
}

/** Gives back what `alloc(bytes)` took. */
export function release(at: usize, bytes: usize): void {
  const c = classOf(bytes);
  const size = sizeOfClass(c);
  live -= size;
  free += size;
  const list = LISTS + (c << 2);
  store<usize>(at, load<usize>(list));
  store<usize>(list, at);
}

/** Takes memory for ever, on a cache line: for pools. */
export function carve(bytes: usize): usize {
  top = (top + 63) & ~63;
  live += bytes;
  return bump(bytes);
}

/** Whether `bytes` more can be had, and makes sure of it: also what was freed counts, at half. */
export function reserve(bytes: u64): bool {
  const to = <u64>top + bytes;
  if (to <= limit) return grow(to);
  return <u64>free >= 2 * bytes && <u64>top <= limit + (spare >> 1) && grow(min(to, limit + spare));
}

/** Whether one block of `bytes` can be had for a buffer. */
export function affordable(bytes: usize): bool {
  return load<usize>(LISTS + (classOf(bytes) << 2)) != 0 || (<u64>top + bytes + 65536 <= limit && grow(<u64>top + granted(bytes)));
}

/** The largest block ever taken: nothing that exists takes more than a few of these to grow or divide. */
export function largestBlock(): usize {
  return largest;
}

export function liveBytes(): usize {
  return live;
}

/** Sets the soft limit of the linear memory. */
export function setLimit(bytes: u64): void {
  limit = bytes;
  spare = min<u64>(max<u64>(bytes >> 2, 4_194_304), 4_294_901_760 - bytes);
}
