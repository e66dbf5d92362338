import type { Vocabulary } from './vocabulary.ts';

/** Up to this many bytes a scan for the lowest rank is cheaper than a heap. */
const shortWord = 96;

/** No merge. */
const none = 0x7fff_ffff;

/**
 * Applies a model's merges to one word: always the merge of the lowest rank, and of equal ones the leftmost.
 *
 * Its work arrays are kept from word to word.
 */
export class Merger {
  readonly #vocabulary: Vocabulary;
  #ids = new Int32Array(shortWord);
  #places = new Int32Array(shortWord);
  #ranks = new Int32Array(shortWord);

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Writes the ids of the bytes to `out` from `at` on and returns where they end; `out` has room for one id a byte. */
  merge(bytes: Uint8Array, span: { from: number; to: number }, out: Uint32Array, at: number): number {
    const { byteIds } = this.#vocabulary;
    const count = span.to - span.from;
    if (count > shortWord) return this.#mergeLong(bytes, span, out, at);
    const ids = this.#ids;
    for (let index = 0; index < count; index++) ids[index] = byteIds[bytes[span.from + index] as number] as number;
    const left = this.#mergeShort(count);
    for (let index = 0; index < left; index++) out[at + index] = ids[index] as number;
    return at + left;
  }

  #rank(index: number): void {
    const place = this.#vocabulary.pair(this.#ids[index] as number, this.#ids[index + 1] as number);
    this.#places[index] = place;
    this.#ranks[index] = place === -1 ? none : (this.#vocabulary.merges[place] as number);
  }

  /** Merges the first `count` ids in place; returns how many are left. */
  #mergeShort(count: number): number {
    const ids = this.#ids;
    const ranks = this.#ranks;
    const places = this.#places;
    let left = count;
    for (let index = 0; index < left - 1; index++) this.#rank(index);
    while (left > 1) {
      let best = 0;
      for (let index = 1; index < left - 1; index++) if ((ranks[index] as number) < (ranks[best] as number)) best = index;
      if (ranks[best] === none) break;
      ids[best] = this.#vocabulary.merges[(places[best] as number) + 1] as number;
      left--;
      for (let index = best + 1; index < left; index++) {
        ids[index] = ids[index + 1] as number;
        ranks[index] = ranks[index + 1] as number;
        places[index] = places[index + 1] as number;
      }
      if (best < left - 1) this.#rank(best);
      if (best > 0) this.#rank(best - 1);
    }
    return left;
  }

  /** The same with a linked list and a heap: no word takes quadratic time. */
  #mergeLong(bytes: Uint8Array, span: { from: number; to: number }, out: Uint32Array, at: number): number {
    const { byteIds, merges } = this.#vocabulary;
    const count = span.to - span.from;
    const ids = new Int32Array(count);
    const next = new Int32Array(count);
    const last = new Int32Array(count);
    for (let index = 0; index < count; index++) {
      ids[index] = byteIds[bytes[span.from + index] as number] as number;
      next[index] = index + 1;
      last[index] = index - 1;
    }
    const heap = new RankHeap(count * 2);
    const offer = (index: number): void => {
      const right = next[index] as number;
      const place = right >= count ? -1 : this.#vocabulary.pair(ids[index] as number, ids[right] as number);
      if (place !== -1) heap.push((merges[place] as number) * 2 ** 32 + index);
    };
    for (let index = 0; index < count - 1; index++) offer(index);
    for (let entry = heap.pop(); entry >= 0; entry = heap.pop()) {
      const index = entry % 2 ** 32;
      const right = next[index] as number;
      if (ids[index] === -1 || right >= count) continue;
      const place = this.#vocabulary.pair(ids[index] as number, ids[right] as number);
      // Stale: one of the two has been merged since.
      if (place === -1 || (merges[place] as number) !== Math.floor(entry / 2 ** 32)) continue;
      ids[index] = merges[place + 1] as number;
      ids[right] = -1;
      const after = next[right] as number;
      next[index] = after;
      if (after < count) last[after] = index;
      offer(index);
      if ((last[index] as number) >= 0) offer(last[index] as number);
    }
    let to = at;
    for (let index = 0; index < count; index = next[index] as number) out[to++] = ids[index] as number;
    return to;
  }
}

/** A binary heap of numbers, the least on top. */
class RankHeap {
  #items: Float64Array;
  #size = 0;

  constructor(capacity: number) {
    this.#items = new Float64Array(capacity);
  }

  push(value: number): void {
    if (this.#size === this.#items.length) {
      const larger = new Float64Array(this.#size * 2);
      larger.set(this.#items);
      this.#items = larger;
    }
    const items = this.#items;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((items[parent] as number) <= value) break;
      items[at] = items[parent] as number;
      at = parent;
    }
    items[at] = value;
  }

  /** The least value, or -1 when there is none. */
  pop(): number {
    if (this.#size === 0) return -1;
    const items = this.#items;
    const top = items[0] as number;
    const value = items[--this.#size] as number;
    let at = 0;
    for (let child = 1; child < this.#size; child = at * 2 + 1) {
      if (child + 1 < this.#size && (items[child + 1] as number) < (items[child] as number)) child++;
      if ((items[child] as number) >= value) break;
      items[at] = items[child] as number;
      at = child;
    }
    items[at] = value;
    return top;
  }
}
