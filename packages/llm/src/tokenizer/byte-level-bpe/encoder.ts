import { Merger } from './merge.ts';
import { DynamoError } from '@dynamo/runtime';
import { nothing } from '../token-table.ts';
import type { WordEnd } from './scan.ts';
import { hashBytes, type Vocabulary } from './vocabulary.ts';
import { WordTable } from './word-table.ts';

/** Words that are cached: how many, of how many bytes and ids at most. Fixed sizes, so that nothing grows. */
const cached = { words: 16_384, bytes: 48, ids: 16 } as const;

/** Longest run of characters that can't be cut, in bytes: merging it takes about 40 bytes of memory each. */
const longestPart = 8 * 1024 * 1024;

/** How a model's words become ids. */
export interface EncoderOptions {
  readonly vocabulary: Vocabulary;
  readonly wordEnd: WordEnd;
  /** A word that is a token is that token, whatever the merges say. */
  readonly ignoreMerges: boolean;
}

const noIds = new Uint32Array(0);

const unknown = 0;
const exact = 1;
const inexact = 2;

/** Turns UTF-8 into ids: words by one look-up, the rest by the cache or the merges. Holds no text between calls. */
export class ByteLevelEncoder {
  readonly #options: EncoderOptions;
  readonly #merger: Merger;
  /** Whether the merges make a token of its own bytes: worked out when a token is first met. */
  readonly #exact: Uint8Array;
  readonly #recent = new WordTable();
  readonly #scratch = new Uint32Array(cached.bytes + 1);
  readonly #keys = new Uint8Array(cached.words * cached.bytes);
  readonly #keyLengths = new Uint8Array(cached.words);
  readonly #counts = new Uint8Array(cached.words);
  readonly #ids = new Uint32Array(cached.words * cached.ids);
  // The text under way.
  #bytes: Uint8Array = nothing;
  #out: Uint32Array = noIds;
  #count = 0;

  constructor(options: EncoderOptions) {
    this.#options = options;
    this.#merger = new Merger(options.vocabulary);
    this.#exact = new Uint8Array(options.vocabulary.size);
  }

  /** Writes the ids of `bytes[0 … end)` to `out`, which has room for one id a byte; returns how many. `bytes` goes on for `slack` bytes. */
  encode(bytes: Uint8Array, end: number, out: Uint32Array): number {
    const { wordEnd, vocabulary, ignoreMerges } = this.#options;
    this.#bytes = bytes;
    this.#out = out;
    this.#count = 0;
    const recent = this.#recent;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let from = 0; from < end;) {
      const after = wordEnd(bytes, from, end);
      const known = recent.find(view, from, after);
      if (known !== -1) out[this.#count++] = known;
      else {
        const id = vocabulary.find(bytes, from, after);
        if (id !== -1 && (ignoreMerges || this.#isExact(id))) {
          out[this.#count++] = id;
          recent.keep(id);
        } else this.#word(from, after);
      }
      from = after;
    }
    this.#bytes = nothing;
    this.#out = noIds;
    return this.#count;
  }

  /** A word that is no token: cut where no token crosses, then part by part. */
  #word(from: number, end: number): void {
    const { vocabulary } = this.#options;
    const bytes = this.#bytes;
    let start = from;
    for (let cut = from + 1; cut <= end; cut++) {
      if (cut < end && (((bytes[cut] as number) & 0xc0) === 0x80 || vocabulary.mayCross(bytes, cut))) continue;
      this.#part(start, cut);
      start = cut;
    }
  }

  #part(from: number, end: number): void {
    const bytes = this.#bytes;
    const out = this.#out;
    const at = this.#count;
    const id = this.#options.vocabulary.find(bytes, from, end);
    if (id !== -1 && this.#isExact(id)) {
      out[this.#count++] = id;
      return;
    }
    const length = end - from;
    if (length > longestPart) {
      throw new DynamoError('payload_too_large', `the text has ${length} bytes without a place to cut it; at most ${longestPart} can be tokenized`, {
        data: { bytes: length, limit: longestPart },
      });
    }
    const slot = length > cached.bytes ? -1 : hashBytes(bytes, from, end) & (cached.words - 1);
    if (slot !== -1 && this.#isCached(slot, from, length)) {
      const count = this.#counts[slot] as number;
      for (let index = 0; index < count; index++) out[at + index] = this.#ids[slot * cached.ids + index] as number;
      this.#count += count;
      return;
    }
    this.#count = this.#merger.merge(bytes, { from, to: end }, out, at);
    if (slot !== -1 && this.#count - at <= cached.ids) this.#remember(slot, { from, length }, out.subarray(at, this.#count));
  }

  #isCached(slot: number, from: number, length: number): boolean {
    if (this.#keyLengths[slot] !== length) return false;
    const key = slot * cached.bytes;
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) if (this.#keys[key + index] !== bytes[from + index]) return false;
    return true;
  }

  #remember(slot: number, word: { from: number; length: number }, ids: Uint32Array): void {
    this.#keys.set(this.#bytes.subarray(word.from, word.from + word.length), slot * cached.bytes);
    this.#keyLengths[slot] = word.length;
    this.#ids.set(ids, slot * cached.ids);
    this.#counts[slot] = ids.length;
  }

  #isExact(id: number): boolean {
    const known = this.#exact[id];
    if (known !== unknown) return known === exact;
    const bytes = this.#options.vocabulary.bytesOf(id);
    const out = bytes.length < this.#scratch.length ? this.#scratch : new Uint32Array(bytes.length);
    const count = this.#merger.merge(bytes, { from: 0, to: bytes.length }, out, 0);
    const found = count === 1 && out[0] === id;
    this.#exact[id] = found ? exact : inexact;
    return found;
  }
}
