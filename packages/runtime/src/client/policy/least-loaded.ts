import type { Instance } from '../../endpoint/instance.ts';
import { InFlight } from '../in-flight.ts';
import type { RoutePolicy } from '../types.ts';

/** Picks an instance with the fewest requests in flight from this client; draws among equals (spec kv-router 13). */
export const leastLoaded = (draw: () => number = Math.random): RoutePolicy => {
  const inFlight = new InFlight();
  return { pick: (_request, candidates) => inFlight.route(leastOf(candidates, inFlight, draw).id) };
};

/** One of the instances with the fewest requests in flight, each with the same chance. */
export function leastOf(candidates: readonly Instance[], inFlight: InFlight, draw: () => number): Instance {
  let least = Infinity;
  let equals = 0;
  for (const { id } of candidates) {
    const count = inFlight.of(id);
    if (count < least) {
      least = count;
      equals = 1;
    } else if (count === least) equals++;
  }
  let skip = Math.floor(draw() * equals);
  // There are as many of these as were counted.
  return candidates.find(({ id }) => inFlight.of(id) === least && skip-- === 0)!;
}
