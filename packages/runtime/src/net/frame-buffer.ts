/** A buffer of this size or less is kept for the next partial frame, in bytes. */
const keptBytes = 65_536;

/**
 * Bytes of a socket that are not yet a whole frame. Grows by doubling, so that a large frame is copied few times, and
 * shrinks as soon as it has passed.
 *
 * What `add` returns is valid until the next call: a frame that outlives it is copied.
 */
export class FrameBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  /** The bytes at hand together with a new read: the read itself when nothing was left. */
  add(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    if (this.#length + chunk.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.#length + chunk.length));
      this.#bytes.copy(grown, 0, 0, this.#length);
      this.#bytes = grown;
    }
    chunk.copy(this.#bytes, this.#length);
    this.#length += chunk.length;
    return this.#bytes.subarray(0, this.#length);
  }

  /** Keeps what is left of `bytes` from `start` on for the next read. */
  keep(bytes: Buffer, start: number): void {
    const left = bytes.length - start;
    const own = bytes.buffer === this.#bytes.buffer;
    if (left === 0) {
      if (this.#bytes.length > keptBytes) this.#bytes = Buffer.alloc(0);
    } else if (own && (start === 0 || this.#bytes.length <= keptBytes)) {
      if (start > 0) this.#bytes.copyWithin(0, start, bytes.length);
    } else {
      if (own || this.#bytes.length < left) this.#bytes = Buffer.allocUnsafeSlow(Math.max(4096, left));
      bytes.copy(this.#bytes, 0, start);
    }
    this.#length = left;
  }

  /** Whether part of a frame waits for its rest. */
  get pending(): boolean {
    return this.#length > 0;
  }

  /** How much memory it holds, in bytes. */
  get capacity(): number {
    return this.#bytes.length;
  }
}
