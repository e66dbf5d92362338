import type { Placement, PlacementHost, PoolFacts } from './placement.ts';

/** Workers in turn, and the ranks of each worker in turn. */
export function roundRobin({ workers, ranks }: PoolFacts, host: PlacementHost): Placement {
  let next = 0;
  return {
    hears: false,
    pending: 0,
    place(request) {
      const worker = next % workers;
      const rank = Math.floor(next / workers) % ranks;
      next = (next + 1) % (workers * ranks);
      host.deliver(request, worker * ranks + rank);
    },
    output() {},
    prefillDone() {},
    ended() {},
    changed() {},
  };
}
