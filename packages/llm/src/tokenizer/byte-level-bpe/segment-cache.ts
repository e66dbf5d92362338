interface Segment {
  readonly text: Uint8Array;
  readonly ids: Uint32Array;
}

/** What an entry costs beside its text and ids, in bytes. */
const overhead = 200;

/** Texts shorter than this are encoded faster than they are kept. */
const shortest = 64;

/**
 * Remembers the ids of whole texts between special tokens: a chat's next turn repeats all of its earlier ones.
 *
 * Least recently used texts go first; the limit is in bytes. A text is compared byte by byte, so two of equal hash never mix.
 */
export class SegmentCache {
  readonly #limit: number;
  readonly #segments = new Map<number, Segment>();
  #bytes = 0;
  /** Hash of the text that was asked for last: what is not found is put next. */
  #key = 0;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** Ids of the text in `bytes[0 … end)`, if it was encoded before. */
  get(bytes: Uint8Array, end: number): Uint32Array | undefined {
    if (end < shortest) return undefined;
    const key = (this.#key = hashOf(bytes, end));
    const segment = this.#segments.get(key);
    if (segment === undefined || Buffer.compare(segment.text, bytes.subarray(0, end)) !== 0) return undefined;
    this.#segments.delete(key);
    this.#segments.set(key, segment);
    return segment.ids;
  }

  /** Remembers the text that was asked for last and not found; copies what it is given. */
  put(bytes: Uint8Array, end: number, ids: Uint32Array): void {
    const cost = costOf(end, ids.length);
    if (end < shortest || cost > this.#limit / 4) return;
    const key = this.#key;
    this.#drop(key);
    this.#segments.set(key, { text: bytes.slice(0, end), ids: ids.slice() });
    this.#bytes += cost;
    for (const oldest of this.#segments.keys()) {
      if (this.#bytes <= this.#limit) break;
      this.#drop(oldest);
    }
  }

  #drop(key: number): void {
    const segment = this.#segments.get(key);
    if (segment === undefined) return;
    this.#segments.delete(key);
    this.#bytes -= costOf(segment.text.length, segment.ids.length);
  }
}

const costOf = (text: number, ids: number): number => text + ids * 4 + overhead;

/** A hash over four bytes a step. `bytes` is a buffer of its own from its first byte on. */
function hashOf(bytes: Uint8Array, end: number): number {
  const wholes = end >>> 2;
  const numbers = new Int32Array(bytes.buffer, bytes.byteOffset, wholes);
  let hash = 0x811c9dc5 ^ end;
  for (let at = 0; at < wholes; at++) hash = Math.imul((hash ^ (hash >>> 15)) + (numbers[at] as number), 0x2c1b3c6d);
  for (let at = wholes << 2; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  return hash ^ (hash >>> 13);
}
