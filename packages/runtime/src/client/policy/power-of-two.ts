import { InFlight } from '../in-flight.ts';
import type { RoutePolicy } from '../types.ts';

/** Draws two instances and picks the one with fewer requests in flight from this client; the first of equals (spec kv-router 13). */
export const powerOfTwo = (draw: () => number = Math.random): RoutePolicy => {
  const inFlight = new InFlight();
  return {
    pick: (_request, candidates) => {
      const { length } = candidates;
      const first = Math.floor(draw() * length);
      // A step of 1 to length - 1 from the first: never the same one, and each other with the same chance.
      const second = length === 1 ? first : (first + 1 + Math.floor(draw() * (length - 1))) % length;
      const [a, b] = [candidates[first]!.id, candidates[second]!.id];
      return inFlight.route(inFlight.of(a) <= inFlight.of(b) ? a : b);
    },
  };
};
