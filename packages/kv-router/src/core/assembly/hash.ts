/**
 * XXH3, 64 bits, with a seed, for inputs of every length.
 *
 * Inputs past 240 bytes take eight lanes in four vectors; below, plain 64-bit arithmetic is as fast.
 */
const SECRET: usize = memory.data<u8>(
  [
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c, 0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb,
    0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f, 0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c, 0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb,
    0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3, 0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d, 0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31,
    0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64, 0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e, 0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc,
    0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce, 0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e,
  ],
  16,
);
const SEEDED: usize = memory.data(192, 16);
const P32_1: u64 = 0x9e3779b1;
const P32_2: u64 = 0x85ebca77;
const P32_3: u64 = 0xc2b2ae3d;
const P64_1: u64 = 0x9e3779b185ebca87;
const P64_2: u64 = 0xc2b2ae3d27d4eb4f;
const P64_3: u64 = 0x165667b19e3779f9;
const P64_4: u64 = 0x85ebca77c2b2ae63;
const P64_5: u64 = 0x27d4eb2f165667c5;

let seededFor: u64 = 0;
let isSeeded: bool = false;

/** Makes the secret of a seed: secret + seed and secret - seed in turns of eight bytes. */
export function useSeed(seed: u64): void {
  if (isSeeded && seededFor == seed) return;
  for (let i: usize = 0; i < 192; i += 16) {
    store<u64>(SEEDED + i, load<u64>(SECRET + i) + seed);
    store<u64>(SEEDED + i, load<u64>(SECRET + i, 8) - seed, 8);
  }
  seededFor = seed;
  isSeeded = true;
}

/** The folded 128-bit product: its halves xored. */
function fold(a: u64, b: u64): u64 {
  const al = a & 0xffffffff;
  const ah = a >> 32;
  const bl = b & 0xffffffff;
  const bh = b >> 32;
  const low = al * bl;
  const left = ah * bl;
  const right = al * bh;
  const cross = (low >> 32) + (left & 0xffffffff) + right;
  return ((cross << 32) | (low & 0xffffffff)) ^ (ah * bh + (left >> 32) + (cross >> 32));
}

function avalanche(h: u64): u64 {
  h = (h ^ (h >> 37)) * 0x165667919e3779f9;
  return h ^ (h >> 32);
}

function avalanche64(h: u64): u64 {
  h = (h ^ (h >> 33)) * P64_2;
  h = (h ^ (h >> 29)) * P64_3;
  return h ^ (h >> 32);
}

/** Sixteen bytes under the seeded secret at `at`, a multiple of 16. */
function mix(input: usize, at: usize): u64 {
  return fold(load<u64>(input) ^ load<u64>(SEEDED + at), load<u64>(input, 8) ^ load<u64>(SEEDED + at, 8));
}

/** Sixteen bytes under any part of the plain secret. */
function mixAt(input: usize, secret: usize, seed: u64): u64 {
  return fold(load<u64>(input) ^ (load<u64>(secret) + seed), load<u64>(input, 8) ^ (load<u64>(secret, 8) - seed));
}

/** XXH3 of `n` bytes. */
export function xxh3(input: usize, n: u32, seed: u64): u64 {
  if (n <= 16) return n > 8 ? upTo16(input, n, seed) : n >= 4 ? upTo8(input, n, seed) : upTo3(input, n, seed);
  useSeed(seed);
  if (n <= 128) return upTo128(input, n);
  return n <= 240 ? upTo240(input, n, seed) : long(input, n);
}

function upTo3(input: usize, n: u32, seed: u64): u64 {
  if (n == 0) return avalanche64(seed ^ load<u64>(SECRET, 56) ^ load<u64>(SECRET, 64));
  const mixed = ((<u64>load<u8>(input)) << 16) | ((<u64>load<u8>(input + (n >> 1))) << 24) | <u64>load<u8>(input + n - 1) | ((<u64>n) << 8);
  return avalanche64(mixed ^ (<u64>(load<u32>(SECRET) ^ load<u32>(SECRET, 4)) + seed));
}

function upTo8(input: usize, n: u32, seed: u64): u64 {
  seed ^= (<u64>bswap<u32>(<u32>seed)) << 32;
  const mixed = <u64>load<u32>(input + n - 4) + ((<u64>load<u32>(input)) << 32);
  let h = mixed ^ ((load<u64>(SECRET, 8) ^ load<u64>(SECRET, 16)) - seed);
  h = (h ^ rotl<u64>(h, 49) ^ rotl<u64>(h, 24)) * 0x9fb21c651e98df25;
  h = (h ^ ((h >> 35) + <u64>n)) * 0x9fb21c651e98df25;
  return h ^ (h >> 28);
}

function upTo16(input: usize, n: u32, seed: u64): u64 {
  const low = load<u64>(input) ^ ((load<u64>(SECRET, 24) ^ load<u64>(SECRET, 32)) + seed);
  const high = load<u64>(input + n - 8) ^ ((load<u64>(SECRET, 40) ^ load<u64>(SECRET, 48)) - seed);
  return avalanche(<u64>n + bswap<u64>(low) + high + fold(low, high));
}

/** The hash of two words, 16 bytes, in place of `xxh3` where one is made for every block. */
export function hashPair(a: u64, b: u64, seed: u64): u64 {
  const low = a ^ ((load<u64>(SECRET, 24) ^ load<u64>(SECRET, 32)) + seed);
  const high = b ^ ((load<u64>(SECRET, 40) ^ load<u64>(SECRET, 48)) - seed);
  return avalanche(16 + bswap<u64>(low) + high + fold(low, high));
}

function upTo128(input: usize, n: u32): u64 {
  const end = input + n;
  let acc = <u64>n * P64_1;
  if (n > 32) {
    if (n > 64) {
      if (n > 96) acc += mix(input + 48, 96) + mix(end - 64, 112);
      acc += mix(input + 32, 64) + mix(end - 48, 80);
    }
    acc += mix(input + 16, 32) + mix(end - 32, 48);
  }
  return avalanche(acc + mix(input, 0) + mix(end - 16, 16));
}

/** 64 bytes: a block of 16 tokens. The seed is the one last used. */
export function hash64(input: usize): u64 {
  return avalanche(64 * P64_1 + mix(input, 0) + mix(input + 48, 16) + mix(input + 16, 32) + mix(input + 32, 48));
}

/** 128 bytes: a block of 32 tokens. The seed is the one last used. */
export function hash128(input: usize): u64 {
  const outer = mix(input, 0) + mix(input + 112, 16) + mix(input + 16, 32) + mix(input + 96, 48);
  return avalanche(128 * P64_1 + outer + mix(input + 32, 64) + mix(input + 80, 80) + mix(input + 48, 96) + mix(input + 64, 112));
}

function upTo240(input: usize, n: u32, seed: u64): u64 {
  let acc = <u64>n * P64_1;
  for (let i: u32 = 0; i < 8; i++) acc += mix(input + (i << 4), i << 4);
  acc = avalanche(acc);
  for (let i: u32 = 8; i < n >> 4; i++) acc += mixAt(input + (i << 4), SECRET + ((i - 8) << 4) + 3, seed);
  return avalanche(acc + mixAt(input + n - 16, SECRET + 119, seed));
}

/** One step of two lanes: each gets its neighbour's input and the product of its own halves. */
function lanes(acc: v128, input: usize, secret: usize): v128 {
  const data = v128.load(input);
  const key = v128.xor(data, v128.load(secret));
  const product = i64x2.extmul_low_i32x4_u(v128.shuffle<u32>(key, key, 0, 2, 0, 2), v128.shuffle<u32>(key, key, 1, 3, 1, 3));
  return i64x2.add(i64x2.add(acc, product), v128.shuffle<u64>(data, data, 1, 0));
}

function scramble(acc: v128, secret: usize): v128 {
  return i64x2.mul(v128.xor(v128.xor(acc, i64x2.shr_u(acc, 47)), v128.load(secret)), i64x2.splat(P32_1));
}

function merge(acc: v128, secret: usize): u64 {
  return fold(i64x2.extract_lane(acc, 0) ^ load<u64>(secret), i64x2.extract_lane(acc, 1) ^ load<u64>(secret, 8));
}

function pair(a: u64, b: u64): v128 {
  return i64x2.replace_lane(i64x2.splat(a), 1, b);
}

/** More than 240 bytes. The seed is the one last used. */
export function long(input: usize, n: u32): u64 {
  let a = pair(P32_3, P64_1);
  let b = pair(P64_2, P64_3);
  let c = pair(P64_4, P32_2);
  let d = pair(P64_5, P32_1);
  const last = input + n - 64;
  let at = input;
  let stripe: usize = 0;
  for (let left = (n - 1) >> 6; left; left--) {
    const secret = SEEDED + (stripe << 3);
    a = lanes(a, at, secret);
    b = lanes(b, at + 16, secret + 16);
    c = lanes(c, at + 32, secret + 32);
    d = lanes(d, at + 48, secret + 48);
    at += 64;
    if (++stripe < 16) continue;
    stripe = 0;
    a = scramble(a, SEEDED + 128);
    b = scramble(b, SEEDED + 144);
    c = scramble(c, SEEDED + 160);
    d = scramble(d, SEEDED + 176);
  }
  a = lanes(a, last, SEEDED + 121);
  b = lanes(b, last + 16, SEEDED + 137);
  c = lanes(c, last + 32, SEEDED + 153);
  d = lanes(d, last + 48, SEEDED + 169);
  const sum = merge(a, SEEDED + 11) + merge(b, SEEDED + 27) + merge(c, SEEDED + 43) + merge(d, SEEDED + 59);
  return avalanche(<u64>n * P64_1 + sum);
}
