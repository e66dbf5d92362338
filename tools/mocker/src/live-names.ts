import type { BlockNames, MockSequence } from '@dynamo/internal';
import { Core, PromptHasher, type PromptHashes } from '@dynamo/kv-router/internal';

/** What enters the hashes of a request's blocks beside its tokens. */
export interface BlockSeed {
  readonly lora?: string | undefined;
  readonly salt?: string | undefined;
}

/** A request's tokens, prompt and answer, and what seeds their hashes. */
export interface NamedTokens extends BlockSeed {
  readonly tokens: number[];
}

/** Names blocks by what they hold, as routers do: a later prompt that repeats an answer finds it in the cache. */
export class LiveNames implements BlockNames {
  readonly #hasher = new PromptHasher(new Core());
  readonly #blockSize: number;
  readonly #tokensOf: (sequence: MockSequence) => NamedTokens;

  constructor(blockSize: number, tokensOf: (sequence: MockSequence) => NamedTokens) {
    this.#blockSize = blockSize;
    this.#tokensOf = tokensOf;
  }

  /** The hashes of a prompt. */
  hashes(tokens: readonly number[], { lora, salt }: BlockSeed): PromptHashes {
    return this.#hasher.hashes(tokens, { blockSize: this.#blockSize, lora, salt });
  }

  name(sequence: MockSequence): void {
    const { tokens, lora, salt } = this.#tokensOf(sequence);
    const end = (sequence.named + 1) * this.#blockSize;
    const count = this.#hasher.hash(tokens.slice(0, end), { blockSize: this.#blockSize, lora, salt });
    const local = this.#hasher.local(count)[count - 1] ?? 0n;
    const name = this.#hasher.sequence(count)[count - 1] ?? 0n;
    sequence.nameNext(low(name), high(name), low(local), high(local));
  }
}

const low = (hash: bigint): number => Number(hash & 0xffff_ffffn);
const high = (hash: bigint): number => Number(hash >> 32n);
