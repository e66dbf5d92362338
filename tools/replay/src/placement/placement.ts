import type { CacheChange } from '@dynamo/internal';
import type { SimRequest } from '../sim-request.ts';

/** Ranks of a pool that requests are placed on. */
export interface PoolFacts {
  readonly workers: number;
  /** Ranks of each worker. */
  readonly ranks: number;
  readonly blockSize: number;
  readonly blocks: number;
  readonly maxBatchedTokens: number;
}

/** What a placement works with: the time of the simulation, chance, and the way back to it. */
export interface PlacementHost {
  readonly clock: () => number;
  readonly random: () => number;
  /** The request goes to a rank, numbered over the whole pool: worker by worker. */
  deliver(request: SimRequest, rank: number): void;
  /** Nobody takes the request. */
  refuse(request: SimRequest): void;
}

/** A way to choose the rank of each request; one file, one line in the registry. */
export interface Placement {
  place(request: SimRequest): void;
  /** Tokens of a placed request have come out. */
  output(request: SimRequest, tokens: number): void;
  /** The prompt of a placed request has been read. */
  prefillDone(request: SimRequest): void;
  ended(request: SimRequest): void;
  /** A rank's cache has changed. */
  changed(rank: number, changes: readonly CacheChange[]): void;
  /** Whether it wants to hear of changes. */
  readonly hears: boolean;
  /** Requests that wait to be placed. */
  readonly pending: number;
}
