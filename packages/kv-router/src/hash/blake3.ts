/** BLAKE3 of a whole input, 32 bytes: for LoRA ids, not for speed. */

const iv: readonly number[] = [0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19];
const permutation: readonly number[] = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const chunkStart = 1;
const chunkEnd = 2;
const parentNode = 4;
const rootNode = 8;
const chunkBytes = 1024;
const blockBytes = 64;
/** The quarters of a round: state words a, b, c, d, columns first, then diagonals. */
const quarters: readonly (readonly [number, number, number, number])[] = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
];

/** What is compressed into a node's chaining value, or with the root flag into the output. */
interface Node {
  readonly chain: Uint32Array;
  readonly words: Uint32Array;
  readonly counter: number;
  readonly length: number;
  readonly flags: number;
}

const rotate = (x: number, by: number): number => (x >>> by) | (x << (32 - by));

function compress({ chain, words, counter, length, flags }: Node, more: number): Uint32Array {
  const v = new Uint32Array(16);
  v.set(chain);
  v.set(iv.slice(0, 4), 8);
  v[12] = counter;
  v[13] = counter / 2 ** 32;
  v[14] = length;
  v[15] = flags | more;
  let message = words;
  for (let round = 0; round < 7; round++) {
    for (const [i, [a, b, c, d]] of quarters.entries()) mix(v, [a, b, c, d], message[2 * i] ?? 0, message[2 * i + 1] ?? 0);
    const last = message;
    message = Uint32Array.from(permutation, (from) => last[from] ?? 0);
  }
  return Uint32Array.from({ length: 8 }, (_, i) => (v[i] ?? 0) ^ (v[i + 8] ?? 0));
}

function mix(v: Uint32Array, [a, b, c, d]: readonly [number, number, number, number], x: number, y: number): void {
  const at = (i: number): number => v[i] ?? 0;
  v[a] = at(a) + at(b) + x;
  v[d] = rotate(at(d) ^ at(a), 16);
  v[c] = at(c) + at(d);
  v[b] = rotate(at(b) ^ at(c), 12);
  v[a] = at(a) + at(b) + y;
  v[d] = rotate(at(d) ^ at(a), 8);
  v[c] = at(c) + at(d);
  v[b] = rotate(at(b) ^ at(c), 7);
}

function wordsOf(block: Uint8Array): Uint32Array {
  const padded = new Uint8Array(blockBytes);
  padded.set(block);
  const view = new DataView(padded.buffer);
  return Uint32Array.from({ length: 16 }, (_, i) => view.getUint32(4 * i, true));
}

function chunkNode(chunk: Uint8Array, counter: number): Node {
  let chain: Uint32Array = Uint32Array.from(iv);
  const blocks = Math.max(1, Math.ceil(chunk.length / blockBytes));
  for (let i = 0; ; i++) {
    const block = chunk.subarray(i * blockBytes, (i + 1) * blockBytes);
    const flags = (i === 0 ? chunkStart : 0) | (i === blocks - 1 ? chunkEnd : 0);
    const node = { chain, words: wordsOf(block), counter, length: block.length, flags };
    if (i === blocks - 1) return node;
    chain = compress(node, 0);
  }
}

function tree(input: Uint8Array, counter: number): Node {
  const chunks = Math.ceil(input.length / chunkBytes);
  if (chunks <= 1) return chunkNode(input, counter);
  // The left side takes the largest power of two of whole chunks that leaves something to the right.
  const left = 2 ** Math.floor(Math.log2(chunks - 1));
  const words = new Uint32Array(16);
  words.set(compress(tree(input.subarray(0, left * chunkBytes), counter), 0));
  words.set(compress(tree(input.subarray(left * chunkBytes), counter + left), 0), 8);
  return { chain: Uint32Array.from(iv), words, counter: 0, length: blockBytes, flags: parentNode };
}

/** The BLAKE3 digest of an input. */
export function blake3(input: Uint8Array): Uint8Array {
  const digest = new Uint8Array(32);
  const view = new DataView(digest.buffer);
  compress(tree(input, 0), rootNode).forEach((word, i) => view.setUint32(4 * i, word, true));
  return digest;
}
