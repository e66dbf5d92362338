import { release } from './release.ts';

/** A buffer of this size or less is kept for the next partial frame, in bytes. */
const keptBytes = 65_536;

/** As much is reserved on the mere word of a peer that a frame will need it, in bytes; beyond that it must have sent half. */
const trustedBytes = 2 * 1024 * 1024;

/**
 * Bytes of a socket that are not yet a whole frame. Grows to what the frame needs, or by doubling, so that a large one is
 * copied few times, and shrinks as soon as it has passed.
 *
 * It takes each read over: nobody else may look at the memory of a chunk afterwards. What `add` returns is valid until the
 * next call: what outlives it is taken with `own`.
 */
export class FrameBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;
  /** How long the unfinished frame will be; 0 when that is not known. */
  #wanted = 0;
  /** Memory that has a new owner since the last `keep`: nothing may be written over it. */
  #given: ArrayBufferLike | undefined;

  /** The bytes at hand together with a new read: the read itself when nothing was left. */
  add(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    if (this.#length + chunk.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(this.#roomFor(this.#length + chunk.length, this.#bytes.length * 2));
      this.#bytes.copy(grown, 0, 0, this.#length);
      release(this.#bytes);
      this.#bytes = grown;
    }
    this.#length += chunk.copy(this.#bytes, this.#length);
    release(chunk);
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps what is left of `bytes` from `start` on for the next read: the beginning of a frame of `wanted` bytes, where that is known. */
  keep(bytes: Buffer, start: number, wanted = 0): void {
    // What has a new owner may be empty by now.
    const left = this.#given === bytes.buffer ? 0 : bytes.length - start;
    const own = bytes.buffer === this.#bytes.buffer;
    this.#wanted = wanted;
    if (this.#given === this.#bytes.buffer) this.#renew(bytes, start, left);
    else if (left === 0) {
      if (this.#bytes.length > keptBytes) this.#renew(bytes, start, 0);
    } else if (own && (start === 0 || this.#bytes.length <= keptBytes)) {
      if (start > 0) this.#bytes.copyWithin(0, start, bytes.length);
    } else if (own || this.#bytes.length < left) this.#renew(bytes, start, left);
    else bytes.copy(this.#bytes, 0, start);
    if (!own && this.#given !== bytes.buffer) release(bytes);
    this.#given = undefined;
    this.#length = left;
  }

  /**
   * A part of `bytes`, which `add` returned, with memory that is the taker's alone: the very same where it is large and the
   * last part, else a copy. Nothing of `bytes` may be read after its last part has been taken.
   */
  own(bytes: Buffer, part: Buffer): Buffer {
    const isLast = part.byteOffset + part.length === bytes.byteOffset + bytes.length;
    // A view holds all of what it is a view of.
    if (!isLast || part.length * 2 < Math.max(part.buffer.byteLength, keptBytes)) return Buffer.from(part);
    this.#given = part.buffer;
    return part;
  }

  /** Whether part of a frame waits for its rest. */
  get pending(): boolean {
    return this.#length > 0;
  }

  #renew(bytes: Buffer, start: number, left: number): void {
    const old = this.#bytes;
    this.#bytes = left === 0 ? Buffer.alloc(0) : Buffer.allocUnsafeSlow(this.#roomFor(left));
    if (left > 0) bytes.copy(this.#bytes, 0, start);
    if (this.#given !== old.buffer) release(old);
  }

  /** How large a buffer should be that has to take `length` bytes now: as large as its frame, where that is known. */
  #roomFor(length: number, atLeast = 4096): number {
    return this.#wanted >= length ? Math.min(this.#wanted, Math.max(trustedBytes, length * 2)) : Math.max(atLeast, length);
  }

  /** How much memory it holds, in bytes. */
  get capacity(): number {
    return this.#bytes.length;
  }
}
