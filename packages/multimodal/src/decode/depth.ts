import { endianness } from 'node:os';

/** Reduces 16-bit samples in the machine's byte order to 8 bits, rounding as 1.6.1 does (spec multimodal 4). */
export function toEightBits(bytes: Uint8Array): Uint8Array {
  const little = endianness() === 'LE';
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const reduced = new Uint8Array(bytes.byteLength >> 1);
  for (let at = 0; at < reduced.length; at++) reduced[at] = Math.floor((view.getUint16(2 * at, little) + 128) / 257);
  return reduced;
}
