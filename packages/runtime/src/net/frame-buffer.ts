/** Bytes of a socket that are not yet a whole frame. Grows by doubling, so that a large frame is copied few times. */
export class FrameBuffer {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  /** The bytes at hand together with a new read: the read itself when nothing was left. */
  add(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    if (this.#length + chunk.length > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + chunk.length));
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
    if (left === 0) {
      this.#length = 0;
      if (this.#bytes.length > 65_536) this.#bytes = Buffer.alloc(0);
      return;
    }
    if (bytes.buffer === this.#bytes.buffer && bytes.byteOffset === this.#bytes.byteOffset) {
      if (start > 0) this.#bytes.copyWithin(0, start, bytes.length);
    } else {
      if (this.#bytes.length < left) this.#bytes = Buffer.allocUnsafe(Math.max(4096, left));
      bytes.copy(this.#bytes, 0, start);
    }
    this.#length = left;
  }

  get pending(): boolean {
    return this.#length > 0;
  }
}
