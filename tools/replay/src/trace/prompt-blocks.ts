import { Core, PromptHasher, type PromptHashes } from '@dynamo/kv-router/internal';

/**
 * Names the blocks of an engine's cache for prompts that are known by the ids of larger or smaller trace blocks.
 *
 * A trace block stands for one id over and over. What an engine's block holds is therefore a few runs of ids: these runs
 * are hashed, in one call, in place of the tokens. Equal tokens give equal runs, so equal hashes; nothing must be
 * remembered of ids that were seen, however long the trace is.
 */
export class PromptBlocks {
  readonly #hasher = new PromptHasher(new Core());
  readonly #traceBlock: number;
  readonly #blockSize: number;
  /** 32-bit words that stand for one engine block. */
  readonly #width: number;
  #words: Uint32Array<ArrayBuffer> = new Uint32Array(1024);

  constructor(traceBlock: number, blockSize: number) {
    this.#traceBlock = traceBlock;
    this.#blockSize = blockSize;
    this.#width = traceBlock % blockSize === 0 ? 2 : 3 * (Math.ceil(blockSize / traceBlock) + 1);
  }

  /** The hashes of a prompt's complete blocks. */
  hashes(ids: readonly (number | bigint)[], tokens: number): PromptHashes {
    const blocks = Math.floor(tokens / this.#blockSize);
    const width = this.#width;
    if (this.#words.length < blocks * width) this.#words = new Uint32Array(blocks * width * 2);
    const words = this.#words.subarray(0, blocks * width);
    if (width === 2) this.#fillWhole(ids, blocks, words);
    else this.#fillRuns(ids, blocks, words);
    return this.#hasher.hashes(words, { blockSize: width });
  }

  #fillWhole(ids: readonly (number | bigint)[], blocks: number, words: Uint32Array): void {
    const perId = this.#traceBlock / this.#blockSize;
    let block = 0;
    for (let at = 0; block < blocks; at++) {
      const id = ids[at] ?? 0;
      const [low, high] = [lowOf(id), highOf(id)];
      for (let end = Math.min(blocks, block + perId); block < end; block++) {
        words[2 * block] = low;
        words[2 * block + 1] = high;
      }
    }
  }

  #fillRuns(ids: readonly (number | bigint)[], blocks: number, words: Uint32Array): void {
    words.fill(0);
    for (let block = 0; block < blocks; block++) {
      let at = block * this.#width - 3;
      let last: number | bigint | undefined;
      for (let token = block * this.#blockSize, end = token + this.#blockSize; token < end;) {
        const index = Math.floor(token / this.#traceBlock);
        const stop = Math.min(end, (index + 1) * this.#traceBlock);
        const id = ids[index] ?? 0;
        if (id !== last) {
          at += 3;
          words[at] = lowOf(id);
          words[at + 1] = highOf(id);
          last = id;
        }
        words[at + 2] = (words[at + 2] ?? 0) + stop - token;
        token = stop;
      }
    }
  }
}

const lowOf = (id: number | bigint): number => (typeof id === 'bigint' ? Number(id & 0xffff_ffffn) : id >>> 0);
const highOf = (id: number | bigint): number => (typeof id === 'bigint' ? Number(id >> 32n) : Math.floor(id / 2 ** 32));
