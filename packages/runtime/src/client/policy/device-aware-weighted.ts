import type { Instance } from '../../endpoint/instance.ts';
import { InFlight } from '../in-flight.ts';
import type { RoutePolicy } from '../types.ts';
import { leastOf } from './least-loaded.ts';

/**
 * Gives CPU instances the share of the load that they can bear, and picks the least loaded one of the group (spec kv-router 13).
 *
 * `ratio` says how many times the work of a CPU instance any other one does. With instances of one kind only it is least-loaded.
 */
export const deviceAwareWeighted = (ratio: number, draw: () => number = Math.random): RoutePolicy => {
  const inFlight = new InFlight();
  const total = (group: readonly Instance[]): number => group.reduce((sum, { id }) => sum + inFlight.of(id), 0);
  return {
    pick: (_request, candidates) => {
      const cpus = candidates.filter(({ device }) => device === 'cpu');
      const others = candidates.filter(({ device }) => device !== 'cpu');
      const group = cpus.length === 0 ? others : others.length === 0 || total(cpus) < share(total(others)) ? cpus : others;
      return inFlight.route(leastOf(group, inFlight, draw).id);

      /** How many requests the CPU instances may have when the others have so many. */
      function share(elsewhere: number): number {
        return Math.floor((elsewhere * cpus.length) / (ratio * others.length));
      }
    },
  };
};
