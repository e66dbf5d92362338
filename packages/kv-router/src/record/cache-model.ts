import type { PromptHashes } from '../hash/block-hash.ts';
import type { RouterEvent } from '../wire/kv-event.ts';

/** The cache of one rank as it might be: whole prompts come in when they have been read, the longest unused blocks go. */
export class CacheModel {
  readonly #capacity: number;
  /** In order of use: the first is the longest unused. */
  readonly #blocks = new Set<bigint>();

  /** `capacity` in blocks; without a number nothing ever goes. */
  constructor(capacity: number = Infinity) {
    this.#capacity = capacity;
  }

  /** Leading blocks of a prompt that are there. */
  holds({ sequence }: PromptHashes): number {
    let count = 0;
    while (count < sequence.length && this.#blocks.has(sequence[count] as bigint)) count++;
    return count;
  }

  /** A prompt has been read. Gives what the rank would tell of it. */
  read({ local, sequence }: PromptHashes): RouterEvent['change'][] {
    // The last block first: what is in front of it is needed longer.
    for (const hash of sequence.toReversed()) {
      this.#blocks.delete(hash);
      this.#blocks.add(hash);
    }
    const blocks = Array.from(sequence, (blockHash, at) => ({ blockHash, tokensHash: local[at] ?? 0n }));
    const gone: bigint[] = [];
    for (const hash of this.#blocks) {
      if (this.#blocks.size <= this.#capacity) break;
      this.#blocks.delete(hash);
      gone.push(hash);
    }
    const stored = blocks.length === 0 ? [] : [{ type: 'stored', parent: undefined, blocks } as const];
    return gone.length === 0 ? stored : [...stored, { type: 'removed', hashes: gone }];
  }
}
