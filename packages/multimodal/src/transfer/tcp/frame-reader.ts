import { DynamoError } from '@dynamo/runtime';
import { decodeHeader, maxHeader, type FrameHeader } from './frame.ts';

/** What becomes of frames. */
export interface FrameSink {
  /** Takes a header and says where the bytes behind it go; nothing for a frame that is a header alone. */
  header(header: FrameHeader): readonly Uint8Array[];
  /** All bytes that belong to the header are in their places. */
  filled(): void;
}

/**
 * Reads frames into memory that is named piece by piece, so that a socket can fill the very bytes that a transfer is for.
 *
 * Ask for `target`, fill some of it, tell by `advance`.
 */
export class FrameReader {
  readonly #sink: FrameSink;
  readonly #length: Buffer = Buffer.alloc(4);
  #state: 'length' | 'header' | 'bytes' = 'length';
  #target: Uint8Array = this.#length;
  #at = 0;
  #rest: readonly Uint8Array[] = [];
  #next = 0;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** Whether no frame has begun. */
  get atBoundary(): boolean {
    return this.#state === 'length' && this.#at === 0;
  }

  /** Where the next bytes belong; never empty. */
  target(): Uint8Array {
    return this.#at === 0 ? this.#target : this.#target.subarray(this.#at);
  }

  /** @throws DynamoError `backend_protocol` when the bytes are no frame. */
  advance(count: number): void {
    this.#at += count;
    if (this.#at < this.#target.byteLength) return;
    if (this.#state === 'length') this.#beginHeader();
    else if (this.#state === 'header') this.#beginBytes();
    else this.#nextPiece();
  }

  /** Copies a chunk to where it belongs. */
  feed(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength;) {
      const target = this.target();
      const count = Math.min(target.byteLength, chunk.byteLength - at);
      target.set(chunk.subarray(at, at + count));
      at += count;
      this.advance(count);
    }
  }

  #beginHeader(): void {
    const length = this.#length.readUInt32LE(0);
    if (length === 0 || length > maxHeader) {
      throw new DynamoError('backend_protocol', `the peer of a transfer sent a header of ${length} bytes, the limit is ${maxHeader}`);
    }
    this.#go('header', Buffer.alloc(length));
  }

  #beginBytes(): void {
    const header = decodeHeader(this.#target);
    this.#go('length', this.#length);
    this.#rest = this.#sink.header(header);
    this.#next = 0;
    if (this.#rest.length > 0) this.#nextPiece();
  }

  #nextPiece(): void {
    while (this.#next < this.#rest.length) {
      const piece = this.#rest[this.#next++] as Uint8Array;
      if (piece.byteLength > 0) return this.#go('bytes', piece);
    }
    this.#rest = [];
    this.#go('length', this.#length);
    this.#sink.filled();
  }

  #go(state: 'length' | 'header' | 'bytes', target: Uint8Array): void {
    this.#state = state;
    this.#target = target;
    this.#at = 0;
  }
}
