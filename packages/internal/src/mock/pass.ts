import type { MockSequence } from './sequence.ts';

/** What the cache of a rank has gained or lost in a pass, in order. */
export type CacheChange =
  | { readonly type: 'stored'; readonly sequence: MockSequence; readonly from: number; readonly count: number }
  | { readonly type: 'removed'; readonly hashes: BigUint64Array };

/** A request that entered the running set in a pass. */
export interface Admission {
  readonly sequence: MockSequence;
  /** Prompt tokens that were in the cache. */
  readonly cachedTokens: number;
}

/** Requests and tokens of one pass, as planners are told of them (spec planner 3). */
export interface ForwardPass {
  scheduledPrefills: number;
  scheduledPrefillTokens: number;
  scheduledPrefillVariance: number;
  scheduledPrefillKvTokens: number;
  scheduledDecodes: number;
  scheduledDecodeKvTokens: number;
  scheduledDecodeVariance: number;
  queuedPrefills: number;
  queuedPrefillTokens: number;
  queuedPrefillVariance: number;
  queuedDecodes: number;
  queuedDecodeKvTokens: number;
  queuedDecodeVariance: number;
}

/**
 * What one pass did. Its effects are due at `endMs`: tokens, ends, changes of the cache and loads.
 *
 * The engine uses one such object over and over: read it before the next step.
 */
export interface Pass {
  readonly startMs: number;
  /** When reading prompts ended. */
  readonly prefillEndMs: number;
  readonly endMs: number;
  /** Requests that got one token at `endMs`, in order of their admission. */
  readonly emitted: readonly MockSequence[];
  /** Requests that ended at `endMs`; their last token is in `emitted`. */
  readonly completed: readonly MockSequence[];
  readonly rejected: readonly MockSequence[];
  readonly admissions: readonly Admission[];
  /** How often a request was put back. */
  readonly preemptions: number;
  /** Prompt and other tokens that were computed. */
  readonly computedTokens: number;
  /** Those of requests that read some of their prompt. */
  readonly prefillTokens: number;
  /** In order; empty where the engine tells no KV events. */
  readonly changes: readonly CacheChange[];
  /** What planners are told; undefined unless the engine is asked for it. */
  readonly forward: ForwardPass | undefined;
}
