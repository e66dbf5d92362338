import { outcome } from '../core/core.ts';
import type { PromptHashes } from '../hash/block-hash.ts';
import { nothingDecoded } from './decoded-batch.ts';
import { HeldIndex } from './held-index.ts';
import type { EventBatch, Overlaps, PrefixIndex, PrefixIndexOptions } from './prefix-index.ts';

const noHashes: PromptHashes = { local: new BigUint64Array(0), sequence: new BigUint64Array(0) };

/** Knows nothing: requests go by load alone. */
export class NoIndex extends HeldIndex implements PrefixIndex {
  constructor(options: PrefixIndexOptions) {
    super(options.ranks, options.size);
  }

  override overlaps(): Overlaps {
    return super.overlaps(noHashes);
  }

  routed(): void {}

  override decode(): EventBatch {
    return nothingDecoded;
  }

  override apply(): number {
    return outcome.ok;
  }
}
