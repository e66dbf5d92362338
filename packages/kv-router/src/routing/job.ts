import type { PromptHashes } from '../hash/block-hash.ts';
import type { SharedRequest } from '../load/replica-sync.ts';
import type { DecisionTimes } from '../metrics/router-metrics.ts';
import type { Priority } from '../queue/admission.ts';
import type { TokenRequest } from '../request.ts';
import type { Expectation } from '../trust/trust-table.ts';
import type { Placed, PlaceRequest } from '../select/scheduler.ts';
import type { RoutingHints } from './route-request.ts';

/** One request on its way through the router. */
export interface Job {
  readonly id: string;
  readonly request: TokenRequest;
  readonly prompt: PromptHashes;
  readonly hints: RoutingHints;
  readonly book: boolean;
  readonly explain: PlaceRequest['explain'];
  readonly times: DecisionTimes;
  /** How many requests waited when this one came. */
  readonly queueDepth: number;
  /** Set when it is booked: what the answer is held against. */
  expected?: Expectation;
}

/** What the other routers are told of a placed request. */
export const sharedOf = (job: Job, placed: Placed): SharedRequest => ({
  id: job.id,
  workerId: placed.workerId,
  dpRank: placed.dpRank,
  sequence: placed.sequence,
  trackPrefill: placed.trackPrefill,
  prefillTokens: placed.effectivePrefillTokens,
  ...(job.hints.expectedOutputTokens === undefined ? {} : { expectedOutputTokens: job.hints.expectedOutputTokens }),
  ...(job.hints.loraName === undefined ? {} : { loraName: job.hints.loraName }),
});

/** Where a request stands in the queue. */
export function priorityOf({ hints, request }: Job, signal: AbortSignal | undefined): Priority {
  const { pinned } = hints.constraints ?? {};
  return {
    isl: request.tokenIds.length,
    ...(hints.policyClass === undefined ? {} : { policyClass: hints.policyClass }),
    ...(hints.strictPriority === undefined ? {} : { strictPriority: hints.strictPriority }),
    ...(hints.priorityJump === undefined ? {} : { priorityJump: hints.priorityJump }),
    ...(pinned === undefined ? {} : { lane: `${pinned.workerId}/${pinned.dpRank ?? ''}` }),
    ...(signal === undefined ? {} : { signal }),
  };
}
