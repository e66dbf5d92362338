/** What the order of waiting requests is made from. */
export interface Waiting {
  /** Hard tiers: a higher one always goes first. */
  readonly strictPriority: number;
  /** Seconds, or for `wspt` weight, that the request may jump ahead; never below 0. */
  readonly priorityJump: number;
  /** When it came, in seconds. */
  readonly arrival: number;
  /** Tokens that the best-cached eligible rank would have to read, at least 1; as they were on arrival. */
  readonly cost: number;
}

/** An order within a queue, under the strict priority: the larger key goes first (spec kv-router 9). One file a policy. */
export interface QueuePolicy {
  readonly name: string;
  key(waiting: Waiting): number;
}
