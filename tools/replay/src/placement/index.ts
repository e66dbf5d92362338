import { kvRouter, type KvPlacementOptions } from './kv-router.ts';
import type { Placement, PlacementHost, PoolFacts } from './placement.ts';
import { roundRobin } from './round-robin.ts';

/** Ways to place requests, by the name that options use. */
export const placements: Readonly<Record<PlacementName, (pool: PoolFacts, host: PlacementHost, options?: KvPlacementOptions) => Placement>> = {
  'round-robin': roundRobin,
  kv: kvRouter,
};

/** The name of a placement. */
export type PlacementName = 'round-robin' | 'kv';
