import { blake3 } from './blake3.ts';

/** The number that stands for a LoRA adapter's name, 1 to 2^31 - 1 (spec kv-router 1.6). */
export function loraId(name: string): number {
  const digest = blake3(new TextEncoder().encode(name));
  const id = new DataView(digest.buffer).getUint32(4) & 0x7fff_ffff;
  return id === 0 ? 1 : id;
}
