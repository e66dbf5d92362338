/** Bytes of the longest word that is kept: nearly all words of a text are shorter. */
const longest = 16;

/** Words: 4,096 of 24 bytes lie in the second level of a processor's caches, where the vocabulary itself doesn't. */
const words = 4_096;

/** Four numbers of text, the length, the id. */
const width = 6;

/** Bytes behind a text that may be read, though never minded. */
export const slack: number = longest;

/**
 * The words that were met last, by their bytes, each with its id: the vocabulary is looked into for the others alone.
 *
 * Direct-mapped, so that nothing grows and nothing is searched for.
 */
export class WordTable {
  readonly #table = new Int32Array(words * width);
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;
  #length = 0;
  #at = 0;

  /** The id of the word in `view[from … to)`, or -1; the view goes on for `slack` bytes behind the text. */
  find(view: DataView, from: number, to: number): number {
    const length = to - from;
    if (length > longest) {
      this.#length = 0;
      return -1;
    }
    // Bytes behind the word are shifted out: a shift by 32 would leave them.
    let b = 0;
    let c = 0;
    let d = 0;
    let a = view.getInt32(from, true);
    if (length < 4) a &= (1 << (length << 3)) - 1;
    else if (length > 4) {
      b = view.getInt32(from + 4, true);
      if (length < 8) b &= (1 << ((length - 4) << 3)) - 1;
      else if (length > 8) {
        c = view.getInt32(from + 8, true);
        if (length < 12) c &= (1 << ((length - 8) << 3)) - 1;
        else if (length > 12) {
          d = view.getInt32(from + 12, true);
          if (length < 16) d &= (1 << ((length - 12) << 3)) - 1;
        }
      }
    }
    let hash = Math.imul(a, 0x9e3779b1) ^ Math.imul(b, 0x85ebca77) ^ Math.imul(c, 0xc2b2ae3d) ^ Math.imul(d, 0x27d4eb2f);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
    const at = ((hash ^ (hash >>> 13)) & (words - 1)) * width;
    const table = this.#table;
    if (table[at] === a && table[at + 1] === b && table[at + 2] === c && table[at + 3] === d && table[at + 4] === length)
      return table[at + 5] as number;
    this.#a = a;
    this.#b = b;
    this.#c = c;
    this.#d = d;
    this.#length = length;
    this.#at = at;
    return -1;
  }

  /** Keeps the id of the word that was just not found. */
  keep(id: number): void {
    if (this.#length === 0) return;
    const table = this.#table;
    const at = this.#at;
    table[at] = this.#a;
    table[at + 1] = this.#b;
    table[at + 2] = this.#c;
    table[at + 3] = this.#d;
    table[at + 4] = this.#length;
    table[at + 5] = id;
  }
}
