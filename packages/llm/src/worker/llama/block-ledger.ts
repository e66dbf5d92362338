import type { KvPublisher } from '@dynamo/kv-router';
import { Core, PromptHasher } from '@dynamo/kv-router/internal';

/** What a ledger tells: the publisher's own verbs. */
export type BlockNews = Pick<KvPublisher, 'stored' | 'removed'>;

/**
 * Knows which whole blocks the sequences hold, and tells of each block when the first sequence has it and when the last one has lost it.
 */
export class BlockLedger {
  readonly #blockSize: number;
  readonly #holders = new Map<bigint, number>();
  readonly #hasher = new PromptHasher(new Core());
  news: BlockNews | undefined;

  constructor(blockSize: number) {
    this.#blockSize = blockSize;
  }

  /** A sequence that holds nothing. */
  open(): HeldSequence {
    return { tokens: [], blocks: [] };
  }

  /** The sequence's cache has grown by these tokens. */
  extend(held: HeldSequence, tokens: readonly number[]): void {
    for (const token of tokens) held.tokens.push(token);
    const whole = Math.floor(held.tokens.length / this.#blockSize);
    const from = held.blocks.length;
    if (whole === from) return;
    const hashes = [...this.#hasher.sequence(this.#hasher.hash(held.tokens, { blockSize: this.#blockSize }))];
    let fresh = whole;
    for (let at = from; at < whole; at++) {
      const hash = hashes[at] as bigint;
      const holders = this.#holders.get(hash) ?? 0;
      this.#holders.set(hash, holders + 1);
      held.blocks.push(hash);
      // Whoever has a block has all before it: what is fresh is a tail.
      if (holders === 0) fresh = Math.min(fresh, at);
    }
    if (fresh === whole) return;
    const parent = hashes[fresh - 1];
    this.news?.stored({
      tokenIds: held.tokens.slice(fresh * this.#blockSize, whole * this.#blockSize),
      hashes: hashes.slice(fresh),
      ...(parent === undefined ? {} : { parent }),
    });
  }

  /** The sequence's cache holds no more than its first `length` tokens. */
  truncate(held: HeldSequence, length: number): void {
    held.tokens.length = Math.min(length, held.tokens.length);
    const gone: bigint[] = [];
    for (const hash of held.blocks.splice(Math.floor(length / this.#blockSize))) {
      const holders = (this.#holders.get(hash) ?? 1) - 1;
      if (holders > 0) this.#holders.set(hash, holders);
      else {
        this.#holders.delete(hash);
        gone.push(hash);
      }
    }
    if (gone.length > 0) this.news?.removed(gone);
  }
}

/** What one sequence's cache holds. */
export interface HeldSequence {
  readonly tokens: number[];
  /** Hashes of its whole blocks. */
  readonly blocks: bigint[];
}
