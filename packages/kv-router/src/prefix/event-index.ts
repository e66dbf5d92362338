import type { PromptHashes } from '../hash/block-hash.ts';
import { ApproximateIndex } from './approximate-index.ts';
import type { KeptDecision } from '../wire/router-state.ts';
import { HeldIndex } from './held-index.ts';
import type { Overlaps, PrefixIndex, PrefixIndexOptions } from './prefix-index.ts';

/**
 * What the workers say that they hold: the tree for the device, continuation indexes for the lower tiers (spec kv-router
 * 3, 4), and with `predictedTtlMs` also what they will hold soon (spec 6): then the larger number of blocks counts.
 */
export class EventIndex extends HeldIndex implements PrefixIndex {
  readonly #predicted: ApproximateIndex | undefined;

  constructor(options: PrefixIndexOptions) {
    super(options.ranks, options.size);
    const { predictedTtlMs: ttlMs } = options;
    this.#predicted = ttlMs === undefined ? undefined : new ApproximateIndex({ ...options, ttlMs, policy: 'ttl' });
  }

  override overlaps(prompt: PromptHashes): Overlaps {
    const held = super.overlaps(prompt);
    const predicted = this.#predicted?.overlaps(prompt).device;
    if (predicted !== undefined) {
      for (let rank = 0; rank < predicted.length; rank++) {
        const more = predicted[rank] ?? 0;
        if (more > (held.device[rank] ?? 0)) held.device[rank] = more;
      }
    }
    return held;
  }

  routed(prompt: PromptHashes, rank: number): void {
    this.#predicted?.routed(prompt, rank);
  }

  override decisions(): Iterable<KeptDecision> {
    return this.#predicted?.decisions() ?? [];
  }

  override remember(decision: KeptDecision): void {
    this.#predicted?.remember(decision);
  }

  override clear(rank: number): void {
    super.clear(rank);
    this.#predicted?.clear(rank);
  }

  override forget(rank: number): void {
    super.forget(rank);
    this.#predicted?.forget(rank);
  }
}
