/**
 * Block hashes of a prompt (spec kv-router 1.2 and 1.3): local ones, which queries use, and sequence ones, each over
 * the one before and the local one, always with seed 1337.
 */
import { room } from './buffer';
import { hash128, hash64, hashPair, long, useSeed, xxh3 } from './hash';

const TOKENS: usize = memory.data(8, 8);
const LOCAL: usize = memory.data(8, 8);
const SEQUENCE: usize = memory.data(8, 8);
const CHAIN_SEED: u64 = 1337;

/** Where `n` tokens are to be written; 0 without memory. */
export function promptTokens(n: u32): usize {
  return room(TOKENS, max<usize>((<usize>n) << 2, 16));
}

/** Where the local hashes are. */
export function promptLocal(): usize {
  return load<usize>(LOCAL);
}

/** Where the sequence hashes are. */
export function promptSequence(): usize {
  return load<usize>(SEQUENCE);
}

/** Where `n` hashes may be written in place of those of a prompt; 0 without memory. */
export function promptRoom(n: u32): usize {
  if (room(SEQUENCE, max<usize>((<usize>n) << 3, 16)) == 0) return 0;
  return room(LOCAL, max<usize>((<usize>n) << 3, 16));
}

/** Hashes the blocks of `n` tokens, each `width` of them from every multiple of `size`; says how many, or -1 without memory. */
export function promptHash(n: u32, size: u32, width: u32, seed: u64): i32 {
  const count: u32 = n < width ? 0 : (n - width) / size + 1;
  if (promptRoom(count) == 0) return -1;
  useSeed(seed);
  if (count) hashBlocks(count, size << 2, width << 2, seed);
  return count;
}

/** Both hashes of each block in one pass: a block's own hash does not wait for the chain, so the two overlap. */
function hashBlocks(count: u32, step: u32, bytes: u32, seed: u64): void {
  const local = load<usize>(LOCAL);
  const sequence = load<usize>(SEQUENCE);
  let at = load<usize>(TOKENS);
  let last: u64 = 0;
  for (let i: u32 = 0; i < count; i++, at += step) {
    const hash = bytes == 64 ? hash64(at) : bytes == 128 ? hash128(at) : bytes > 240 ? long(at, bytes) : xxh3(at, bytes, seed);
    last = i ? hashPair(last, hash, CHAIN_SEED) : hash;
    store<u64>(local + (i << 3), hash);
    store<u64>(sequence + (i << 3), last);
  }
}

/** Makes the sequence hashes of `count` local ones. */
export function promptChain(count: u32): void {
  if (count == 0) return;
  const local = load<usize>(LOCAL);
  const sequence = load<usize>(SEQUENCE);
  let last = load<u64>(local);
  store<u64>(sequence, last);
  for (let i: u32 = 1; i < count; i++) {
    last = hashPair(last, load<u64>(local + (i << 3)), CHAIN_SEED);
    store<u64>(sequence + (i << 3), last);
  }
}
