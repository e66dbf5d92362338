import { letter, lower, number, space, upper } from './classes.ts';

/** Where the word ends that begins at `from`; `end` is the end of the text. */
export type WordEnd = (bytes: Uint8Array, from: number, end: number) => number;

const contraction = String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)`;
const rest = (tail: string): string => String.raw`| ?[^\s\p{L}\p{N}]+[\r\n${tail}]*|\s*[\r\n]+|\s+(?!\S)|\s+`;
const cl100k = (digits: string): string => String.raw`${contraction}|[^\r\n\p{L}\p{N}]?\p{L}+|${digits}${rest('')}`;
const first = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`;
const second = String.raw`[\p{Ll}\p{Lm}\p{Lo}\p{M}]`;
const o200k = String.raw`${first}*${second}+${contraction}?|${first}+${second}*${contraction}?|\p{N}{1,3}${rest('/')}`;

/** The scanner of a pre-tokenizer's pattern, or undefined for one that has none: patterns are told apart by their exact text. */
export function scannerOf(pattern: string, classes: Uint8Array): WordEnd | undefined {
  const scan = new Scan(classes);
  switch (pattern) {
    case cl100k(String.raw`\p{N}`):
      return (bytes, from, end) => scan.cl100k(bytes, from, end, 1);
    case cl100k(String.raw`\p{N}{1,3}`):
      return (bytes, from, end) => scan.cl100k(bytes, from, end, 3);
    case o200k:
      return (bytes, from, end) => scan.o200k(bytes, from, end);
    default:
      return undefined;
  }
}

const newline = (byte: number | undefined): boolean => byte === 0x0a || byte === 0x0d;
const notOther = letter | number | space;

/** The two families of patterns by hand, over UTF-8: a regular expression costs ten times as much, and Node's classes are newer. */
class Scan {
  readonly #classes: Uint8Array;
  /** Bytes of the character that `#classAt` read last. */
  #width = 1;

  constructor(classes: Uint8Array) {
    this.#classes = classes;
  }

  cl100k(bytes: Uint8Array, from: number, end: number, maxDigits: number): number {
    if (bytes[from] === 0x27) {
      const after = contractionEnd(bytes, from, end);
      if (after > 0) return after;
    }
    const kind = this.#classAt(bytes, from);
    const next = from + this.#width;
    if ((kind & letter) !== 0) return this.#skip(bytes, next, end, letter);
    if ((kind & number) !== 0) return this.#digits(bytes, next, end, maxDigits - 1);
    if (!newline(bytes[from]) && next < end && (this.#classAt(bytes, next) & letter) !== 0) return this.#skip(bytes, next + this.#width, end, letter);
    return this.#otherOrSpace(bytes, from, end, false);
  }

  o200k(bytes: Uint8Array, from: number, end: number): number {
    const kind = this.#classAt(bytes, from);
    const next = from + this.#width;
    const prefix = (kind & (letter | number)) === 0 && !newline(bytes[from]);
    let after = prefix ? this.#lowerWord(bytes, next, end) : 0;
    if (after === 0) after = this.#lowerWord(bytes, from, end);
    if (after === 0 && prefix) after = this.#upperWord(bytes, next, end);
    if (after === 0) after = this.#upperWord(bytes, from, end);
    if (after > 0) {
      const suffix = bytes[after] === 0x27 && after < end ? contractionEnd(bytes, after, end) : 0;
      return suffix > 0 ? suffix : after;
    }
    if ((kind & number) !== 0) return this.#digits(bytes, next, end, 2);
    return this.#otherOrSpace(bytes, from, end, true);
  }

  /** `[upper]*[lower]+`: when nothing lower follows the run, the match ends after its last character that is in both sets. */
  #lowerWord(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let both = 0;
    while (at < end) {
      const kind = this.#classAt(bytes, at);
      if ((kind & upper) === 0) break;
      at += this.#width;
      if ((kind & lower) !== 0) both = at;
    }
    const after = this.#skip(bytes, at, end, lower);
    return after > at ? after : both;
  }

  /** `[upper]+[lower]*`. */
  #upperWord(bytes: Uint8Array, from: number, end: number): number {
    const after = this.#skip(bytes, from, end, upper);
    return after === from ? 0 : this.#skip(bytes, after, end, lower);
  }

  #digits(bytes: Uint8Array, from: number, end: number, more: number): number {
    let at = from;
    for (let left = more; left > 0 && at < end && (this.#classAt(bytes, at) & number) !== 0; left--) at += this.#width;
    return at;
  }

  /** ` ?[^\s\p{L}\p{N}]+[\r\n]*`, then the three alternatives of white space. */
  #otherOrSpace(bytes: Uint8Array, from: number, end: number, slash: boolean): number {
    const start = bytes[from] === 0x20 ? from + 1 : from;
    let at = start;
    while (at < end && (this.#classAt(bytes, at) & notOther) === 0) at += this.#width;
    if (at > start) {
      while (at < end && (newline(bytes[at]) || (slash && bytes[at] === 0x2f))) at++;
      return at;
    }
    return this.#spaces(bytes, from, end);
  }

  /** A run of white space ends after its last newline; without one, before its last character, which the next word takes. */
  #spaces(bytes: Uint8Array, from: number, end: number): number {
    let at = from;
    let last = from;
    let afterNewline = 0;
    while (at < end && (this.#classAt(bytes, at) & space) !== 0) {
      last = at;
      at += this.#width;
      if (newline(bytes[last])) afterNewline = at;
    }
    if (afterNewline > 0) return afterNewline;
    return at === end || last === from ? at : last;
  }

  #skip(bytes: Uint8Array, from: number, end: number, mask: number): number {
    let at = from;
    while (at < end) {
      const byte = bytes[at] as number;
      if (byte < 0x80) {
        if (((this.#classes[byte] as number) & mask) === 0) return at;
        at++;
      } else {
        if ((this.#classAt(bytes, at) & mask) === 0) return at;
        at += this.#width;
      }
    }
    return at;
  }

  #classAt(bytes: Uint8Array, at: number): number {
    const byte = bytes[at] as number;
    if (byte < 0x80) {
      this.#width = 1;
      return this.#classes[byte] as number;
    }
    const second = (bytes[at + 1] as number) & 0x3f;
    if (byte < 0xe0) {
      this.#width = 2;
      return this.#classes[((byte & 0x1f) << 6) | second] as number;
    }
    const third = (bytes[at + 2] as number) & 0x3f;
    if (byte < 0xf0) {
      this.#width = 3;
      return this.#classes[((byte & 0x0f) << 12) | (second << 6) | third] as number;
    }
    this.#width = 4;
    return this.#classes[((byte & 0x07) << 18) | (second << 12) | (third << 6) | ((bytes[at + 3] as number) & 0x3f)] as number;
  }
}

/** `(?i:'s|'t|'re|'ve|'m|'ll|'d)`: also the long s, which folds to s. 0 where none stands. */
function contractionEnd(bytes: Uint8Array, from: number, end: number): number {
  const one = from + 1 < end ? (bytes[from + 1] as number) : 0;
  const small = one | 0x20;
  if (one < 0x80 && (small === 0x73 || small === 0x74 || small === 0x6d || small === 0x64)) return from + 2;
  const two = from + 2 < end ? (bytes[from + 2] as number) : 0;
  if (one === 0xc5 && two === 0xbf) return from + 3;
  if (one >= 0x80 || two >= 0x80) return 0;
  const pair = (small << 8) | (two | 0x20);
  return pair === 0x7265 || pair === 0x7665 || pair === 0x6c6c ? from + 3 : 0;
}
