import { DynamoError } from '@dynamo/runtime';
import { Core } from '../core/core.ts';

/** Media within a prompt: what it is, and which tokens stand for it. */
export interface MediaSpan {
  readonly hash: bigint;
  /** [start, end) token ranges. */
  readonly offsets: readonly (readonly [number, number])[];
}

/** What besides the tokens enters block hashes (spec kv-router 1.1, 1.2). */
export interface HashOptions {
  readonly blockSize: number;
  /** Name of a LoRA adapter. */
  readonly lora?: string | undefined;
  /** Namespace that keeps caches apart: `cache_salt` on every wire. */
  readonly salt?: string | undefined;
  /** Windows of one token more, overlapping by one. */
  readonly eagle?: boolean | undefined;
  /** By block, the hashes of the media that it intersects, in any order. */
  readonly media?: readonly (readonly bigint[] | null | undefined)[] | undefined;
}

/** The block hashes of a prompt: complete blocks only. */
export interface PromptHashes {
  /** By block, of its tokens alone: what prefix indexes are asked for. */
  readonly local: BigUint64Array;
  /** By block, of it and all before it: what tells blocks in work apart. */
  readonly sequence: BigUint64Array;
}

/** Seed of requests without adapter and salt, and of every chain (spec kv-router 1.1, 1.3). */
const seed = 1337n;

/** Hashes prompts in the memory of a core, where a query can take them from. */
export class PromptHasher {
  readonly core: Core;
  #lora = '';
  #salt = '';
  #seed = seed;

  constructor(core: Core) {
    this.core = core;
  }

  /**
   * Hashes a prompt and returns how many blocks it has; `local` and `sequence` are then in the core's memory.
   *
   * A `Uint32Array` is copied in one piece; a list of numbers token by token.
   */
  hash(tokens: Uint32Array | readonly number[], options: HashOptions): number {
    const { blockSize, eagle, media } = options;
    if (!(Number.isInteger(blockSize) && blockSize > 0))
      throw new DynamoError('invalid_argument', 'kv_block_size cannot be 0', { data: { blockSize } });
    this.#writeTokens(tokens);
    const width = blockSize + (eagle ? 1 : 0);
    const start = this.#seedOf(options.lora ?? '', options.salt ?? '');
    const count = this.core.wasm.promptHash(tokens.length, blockSize, width, start);
    if (count < 0) throw new DynamoError('resource_exhausted', 'no memory for the hashes of a prompt', { data: { tokens: tokens.length } });
    if (media !== undefined && this.#mixMedia(count, media, { step: blockSize, width, seed: start })) this.core.wasm.promptChain(count);
    return count;
  }

  /** Hashes a prompt and copies what came out. */
  hashes(tokens: Uint32Array | readonly number[], options: HashOptions): PromptHashes {
    const count = this.hash(tokens, options);
    const both = new BigUint64Array(2 * count);
    both.set(this.local(count));
    both.set(this.sequence(count), count);
    return { local: both.subarray(0, count), sequence: both.subarray(count) };
  }

  /** The sequence hashes that belong to local ones: a copy. */
  chain(local: BigUint64Array): BigUint64Array {
    if (local.length === 0) return new BigUint64Array(0);
    this.core.writePrompt(local, local);
    this.core.wasm.promptChain(local.length);
    return this.sequence(local.length).slice();
  }

  /** The local hashes of the prompt last hashed. A view: valid until the core's next call. */
  local(count: number): BigUint64Array {
    const at = (this.core.wasm.promptLocal() >>> 0) / 8;
    return this.core.hashes.subarray(at, at + count);
  }

  /** The sequence hashes of the prompt last hashed. A view: valid until the core's next call. */
  sequence(count: number): BigUint64Array {
    const at = (this.core.wasm.promptSequence() >>> 0) / 8;
    return this.core.hashes.subarray(at, at + count);
  }

  #writeTokens(tokens: Uint32Array | readonly number[]): void {
    const at = this.core.address(this.core.wasm.promptTokens(tokens.length)) / 4;
    const { words } = this.core;
    if (tokens instanceof Uint32Array) words.set(tokens, at);
    // `set` with a list is fast only while the list never held anything but small integers.
    else for (let i = 0; i < tokens.length; i++) words[at + i] = tokens[i] as number;
  }

  #seedOf(lora: string, salt: string): bigint {
    if (lora !== this.#lora || salt !== this.#salt) {
      let next = seed;
      if (lora !== '') next += this.#text(lora, 0n);
      if (salt !== '') next += this.#text(salt, 1n);
      this.#seed = BigInt.asUintN(64, next);
      this.#lora = lora;
      this.#salt = salt;
    }
    return this.#seed;
  }

  #text(text: string, textSeed: bigint): bigint {
    const bytes = new TextEncoder().encode(text);
    this.core.write(bytes);
    return BigInt.asUintN(64, this.core.wasm.hashInput(bytes.length, textSeed));
  }

  /** Hashes again, with their media, the blocks that have any; false if none has. */
  #mixMedia(count: number, media: NonNullable<HashOptions['media']>, block: { step: number; width: number; seed: bigint }): boolean {
    let mixed = false;
    for (let i = 0; i < Math.min(count, media.length); i++) {
      const hashes = media[i];
      if (hashes === null || hashes === undefined || hashes.length === 0) continue;
      const tokenBytes = block.width * 4;
      const bytes = tokenBytes + hashes.length * 8;
      const at = this.core.inputRoom(bytes);
      const from = (this.core.wasm.promptTokens(0) >>> 0) + i * block.step * 4;
      this.core.bytes.copyWithin(at, from, from + tokenBytes);
      const view = new DataView(this.core.wasm.memory.buffer, at + tokenBytes);
      [...BigUint64Array.from(hashes).sort()].forEach((hash, j) => view.setBigUint64(8 * j, hash, true));
      this.core.hashes[(this.core.wasm.promptLocal() >>> 0) / 8 + i] = this.core.wasm.hashInput(bytes, block.seed);
      mixed = true;
    }
    return mixed;
  }
}

/** The hash of each complete block of a prompt's tokens, the same as the real system's (spec kv-router 1.2). */
export function blockHashes(tokens: Uint32Array | readonly number[], options: HashOptions): bigint[] {
  const hasher = new PromptHasher(new Core());
  return [...hasher.local(hasher.hash(tokens, options))];
}

/** Spreads media of a whole prompt over its blocks: each block gets every media hash once (spec kv-router 1.5). */
export function mediaByBlock(media: readonly MediaSpan[], tokens: number, blockSize: number): (readonly bigint[] | null)[] {
  const blocks: (bigint[] | null)[] = Array.from({ length: Math.ceil(tokens / blockSize) }, () => null);
  for (const { hash, offsets } of media) {
    for (const [start, end] of offsets) {
      for (let i = Math.floor(start / blockSize); i * blockSize < end && i < blocks.length; i++) {
        const block = (blocks[i] ??= []);
        if (!block.includes(hash)) block.push(hash);
      }
    }
  }
  return blocks;
}

/** The token that stands for an image in routing, in place of its placeholder (spec kv-router 1.5). */
export const padValue = (mediaHash: bigint): number => 1_000_000 + Number(mediaHash & 0x3fff_ffffn);
