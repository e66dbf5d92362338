import type { RoutePolicy } from '../types.ts';

/**
 * Walks the routable ids in ascending order; joins and leaves don't reset the count (spec runtime-wire 10), and a call whose
 * instance is settled does not move it.
 */
export const roundRobin = (): RoutePolicy => {
  let next = 0;
  return { pick: (_request, candidates, call) => ({ instance: call.instance ?? candidates[next++ % candidates.length]!.id }) };
};
