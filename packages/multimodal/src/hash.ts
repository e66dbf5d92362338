import { createRequire } from 'node:module';
import { DynamoError } from '@dynamo/runtime';

const require = createRequire(import.meta.url);

/** The number by which one dtype enters the hash: UINT8 (spec multimodal 5). */
const dtypeByte = 0;

/**
 * XXH3-64 over the number of dimensions, each dimension, the dtype and the bytes (spec multimodal 5). It is what names the medium
 * in hashes of blocks and in routing, here and in a 1.6.1 frontend.
 */
export function contentHash(media: { readonly shape: readonly number[]; readonly bytes: Uint8Array }): bigint {
  const { shape, bytes } = media;
  if (shape.reduce((product, size) => product * size, 1) !== bytes.byteLength) {
    throw new DynamoError('invalid_argument', `${bytes.byteLength} bytes are not of shape ${shape.join('×')}`);
  }
  const head = Buffer.alloc(8 * (shape.length + 1) + 1);
  head.writeBigUInt64LE(BigInt(shape.length), 0);
  for (const [at, size] of shape.entries()) head.writeBigUInt64LE(BigInt(size), 8 * (at + 1));
  head[head.length - 1] = dtypeByte;
  // Loaded here, not above: most importers never hash, and the addon comes synchronously only this way.
  const { Xxh3 } = (require('@node-rs/xxhash') as typeof import('@node-rs/xxhash')).xxh3;
  return Xxh3.withSeed().update(head).update(bytes).digest();
}

/** A content hash as it is written on the wire. */
export const hashText = (hash: bigint): string => hash.toString(16).padStart(16, '0');
