import type { Block } from '../block.ts';
import { BlockHasher, type TokenBlock } from '../block-hasher.ts';

/** Draws below a bound that are the same for the same seed. */
export function draws(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

/** Sequences of blocks that share no tokens. */
export function sequences(pageSize: number, count: number, blocks: number): TokenBlock[][] {
  const hasher = new BlockHasher(pageSize);
  return Array.from({ length: count }, (_, at) => hasher.blocks(Array.from({ length: pageSize * blocks }, (__, token) => at * 10_000 + token)));
}

const bytesOf = (block: Block): Uint8Array => {
  const { buffer, byteOffset, byteLength } = block.data();
  return new Uint8Array(buffer, byteOffset, byteLength);
};

/** Fills a block with bytes that only this hash has. */
export function fill(block: Block, hash: bigint): void {
  fillBytes(bytesOf(block), hash);
}

export function fillBytes(bytes: Uint8Array, hash: bigint): void {
  const next = draws(Number(hash & 0xffff_ffffn));
  for (let at = 0; at < bytes.length; at++) bytes[at] = next(256);
}

/** A sum of the bytes in their order. */
export function checksum(bytes: Uint8Array): number {
  let sum = 0x811c9dc5;
  for (let at = 0; at < bytes.length; at++) sum = Math.imul(sum ^ (bytes[at] as number), 0x01000193) >>> 0;
  return sum;
}

const wanted = new Map<string, number>();

/** Whether a block holds the bytes of its own hash. */
export function isWhole(block: Block): boolean {
  const hash = block.content?.sequenceHash ?? 0n;
  const bytes = bytesOf(block);
  const key = `${hash} ${bytes.length}`;
  let sum = wanted.get(key);
  if (sum === undefined) {
    const right = new Uint8Array(bytes.length);
    fillBytes(right, hash);
    sum = checksum(right);
    wanted.set(key, sum);
  }
  return checksum(bytes) === sum;
}
