import { byteOfLetter } from '../token-table.ts';

/** Where a byte-level model's tokens and merges are looked up: flat tables, filled once at load. */
export interface Vocabulary {
  /** Id of each byte alone. */
  readonly byteIds: Int32Array;
  /** Id of the token of these bytes, or -1. */
  find(bytes: Uint8Array, from: number, to: number): number;
  /** Place of a pair of ids in `merges`, or -1 when the pair does not merge. */
  pair(left: number, right: number): number;
  /** For each pair its rank at `place`, the id of its result at `place + 1`. */
  readonly merges: Int32Array;
  /** Bytes of a token, as a view. */
  bytesOf(id: number): Uint8Array;
  /** False where no token holds the two bytes and characters on both sides of `at`: no merge can cross it. */
  mayCross(bytes: Uint8Array, at: number): boolean;
  /** One more than the largest id. */
  readonly size: number;
}

/** The parts of a `tokenizer.json` model that matter here. */
export interface BpeModel {
  readonly vocab: Readonly<Record<string, number>>;
  readonly merges: readonly (string | readonly [string, string])[];
}

/** Builds the tables, or gives up with undefined where a byte, or a merge's part or result, has no token. */
export function buildVocabulary(model: BpeModel): Vocabulary | undefined {
  const entries = Object.entries(model.vocab);
  let size = 0;
  let total = 0;
  for (const [token, id] of entries) {
    if (!isId(id)) return undefined;
    size = Math.max(size, id + 1);
    total += token.length;
  }
  const blob = new Uint8Array(total);
  const offsets = new Uint32Array(size + 1);
  const lengths = new Uint32Array(size);
  const byteIds = new Int32Array(256).fill(-1);
  let at = 0;
  for (const [token, id] of entries) {
    offsets[id] = at;
    for (let index = 0; index < token.length; index++) {
      const byte = byteOfLetter.get(token.charAt(index));
      if (byte === undefined) return undefined;
      blob[at++] = byte;
    }
    lengths[id] = token.length;
    if (token.length === 1) byteIds[blob[at - 1] as number] = id;
  }
  if (byteIds.includes(-1)) return undefined;
  const words = wordTable(blob, offsets, lengths);
  const pairs = pairTable(model);
  if (pairs === undefined) return undefined;
  const crossings = crossingFilter(blob, offsets, lengths);
  return {
    byteIds,
    size,
    find: words,
    ...pairs,
    bytesOf: (id) => blob.subarray(offsets[id], (offsets[id] as number) + (lengths[id] as number)),
    mayCross: crossings,
  };
}

/** Ids come from a file of others: tables are made for no more than four million. */
export const isId = (id: unknown): boolean => Number.isInteger(id) && (id as number) >= 0 && (id as number) < 2 ** 22;

/** The smallest power of two that leaves half of a table empty. */
const capacityFor = (count: number): number => 2 ** Math.ceil(Math.log2(Math.max(16, count * 2)));

export function hashBytes(bytes: Uint8Array, from: number, to: number): number {
  let hash = 0x811c9dc5;
  for (let at = from; at < to; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function wordTable(blob: Uint8Array, offsets: Uint32Array, lengths: Uint32Array): Vocabulary['find'] {
  const capacity = capacityFor(lengths.length);
  const mask = capacity - 1;
  const slots = new Int32Array(capacity).fill(-1);
  for (let id = 0; id < lengths.length; id++) {
    const length = lengths[id] as number;
    if (length === 0) continue;
    const start = offsets[id] as number;
    let slot = hashBytes(blob, start, start + length) & mask;
    while (slots[slot] !== -1) slot = (slot + 1) & mask;
    slots[slot] = id;
  }
  return (bytes, from, to) => {
    const length = to - from;
    for (let slot = hashBytes(bytes, from, to) & mask; ; slot = (slot + 1) & mask) {
      const id = slots[slot] as number;
      if (id === -1) return -1;
      if (lengths[id] !== length) continue;
      const start = offsets[id] as number;
      let same = 0;
      while (same < length && blob[start + same] === bytes[from + same]) same++;
      if (same === length) return id;
    }
  };
}

const hashPair = (left: number, right: number): number => {
  const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca77);
  return hash ^ (hash >>> 15);
};

/** Pairs of ids by open addressing: left, right, rank, result. A pair's rank is its place in the list of merges. */
function pairTable({ vocab, merges: list }: BpeModel): Pick<Vocabulary, 'pair' | 'merges'> | undefined {
  const capacity = capacityFor(list.length);
  const mask = capacity - 1;
  const keys = new Int32Array(capacity * 2).fill(-1);
  const merges = new Int32Array(capacity * 2);
  const slotOf = (left: number, right: number): number => {
    let slot = hashPair(left, right) & mask;
    while (keys[slot * 2] !== -1 && (keys[slot * 2] !== left || keys[slot * 2 + 1] !== right)) slot = (slot + 1) & mask;
    return slot;
  };
  for (const [rank, merge] of list.entries()) {
    const cut = typeof merge === 'string' ? merge.indexOf(' ') : 0;
    const [a, b] = typeof merge === 'string' ? [merge.slice(0, cut), merge.slice(cut + 1)] : merge;
    const left = vocab[a];
    const right = vocab[b];
    const result = vocab[a + b];
    if (left === undefined || right === undefined || result === undefined) return undefined;
    const slot = slotOf(left, right);
    keys[slot * 2] = left;
    keys[slot * 2 + 1] = right;
    merges[slot * 2] = rank;
    merges[slot * 2 + 1] = result;
  }
  return {
    merges,
    pair(left, right) {
      const slot = slotOf(left, right);
      return keys[slot * 2] === -1 ? -1 : slot * 2;
    },
  };
}

const isStart = (byte: number): boolean => (byte & 0xc0) !== 0x80;

/** The character that begins at a byte, as its bytes in one number; enough to tell characters apart. */
function charFrom(bytes: Uint8Array, at: number): number {
  const byte = bytes[at] as number;
  if (byte < 0x80) return byte;
  const second = bytes[at + 1] ?? 0;
  if (byte < 0xe0) return (byte << 8) | second;
  const third = bytes[at + 2] ?? 0;
  return byte < 0xf0 ? (byte << 16) | (second << 8) | third : (byte << 24) | (second << 16) | (third << 8) | (bytes[at + 3] ?? 0);
}

function charStartBefore(bytes: Uint8Array, at: number, limit: number): number {
  let start = at - 1;
  while (start > limit && !isStart(bytes[start] as number)) start--;
  return start;
}

const widthOf = (byte: number): number => (byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4);

/**
 * Which boundaries between characters some token crosses: whole neighbouring characters in a bit filter (a false positive
 * only costs time), and for tokens that begin or end inside a character, the two bytes at the boundary.
 */
function crossingFilter(blob: Uint8Array, offsets: Uint32Array, lengths: Uint32Array): Vocabulary['mayCross'] {
  const filterBits = 20;
  const filter = new Uint8Array(2 ** (filterBits - 3));
  const partial = new Uint8Array(0x10000);
  const ascii = new Uint8Array(0x4000);
  const slotOf = (left: number, right: number): number => (Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0xc2b2ae35)) >>> (32 - filterBits);
  for (let id = 0; id < lengths.length; id++) {
    const from = offsets[id] as number;
    const to = from + (lengths[id] as number);
    for (let at = from + 1; at < to; at++) {
      if (!isStart(blob[at] as number)) continue;
      const before = charStartBefore(blob, at, from);
      const first = blob[before] as number;
      const next = blob[at] as number;
      const whole = isStart(first) && before + widthOf(first) === at && at + widthOf(next) <= to;
      if (!whole) partial[((blob[at - 1] as number) << 8) | next] = 1;
      else if (first < 0x80 && next < 0x80) ascii[(first << 7) | next] = 1;
      else {
        const slot = slotOf(charFrom(blob, before), charFrom(blob, at));
        filter[slot >>> 3] = (filter[slot >>> 3] as number) | (1 << (slot & 7));
      }
    }
  }
  return (bytes, at) => {
    const last = bytes[at - 1] as number;
    const next = bytes[at] as number;
    if (last < 0x80 && next < 0x80) return ascii[(last << 7) | next] === 1;
    if (partial[(last << 8) | next] === 1) return true;
    const slot = slotOf(charFrom(bytes, charStartBefore(bytes, at, 0)), charFrom(bytes, at));
    return ((filter[slot >>> 3] as number) & (1 << (slot & 7))) !== 0;
  };
}
