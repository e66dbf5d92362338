import type { Route } from '@dynamo/runtime';
import type { TokenRequest } from '../request.ts';
import type { RouteBrief } from '../select/receipt.ts';
import type { Booking } from './booking.ts';
import { chunkFacts } from './chunk-facts.ts';

/** A route that may come with one line on why it was taken. */
export type KvRoute = Route & {
  readonly brief?: RouteBrief;
  /** Which part of the prompt's blocks the rank is expected to hold. */
  readonly hitRate: number;
  /** How many requests waited when this one came. */
  readonly queueDepth: number;
};

/** The route of a booked request: what passes over it is counted, and its end frees the rank. */
export function routeOf(booking: Booking, request: TokenRequest): KvRoute {
  const { workerId, dpRank, brief } = booking.placed;
  let begun = false;
  const seen = (item: unknown): void => {
    const { tokens, cachedTokens } = chunkFacts(item);
    if (cachedTokens !== undefined) booking.reused(cachedTokens);
    if (tokens === 0) return;
    if (!begun) booking.prefillDone();
    begun = true;
    booking.output(tokens);
  };
  return {
    instance: workerId,
    rank: dpRank,
    request: { ...request, routing: { ...request.routing, dp_rank: dpRank } },
    seen,
    done: () => booking.free(),
    hitRate: booking.hitRate,
    queueDepth: booking.queueDepth,
    ...(brief === undefined ? {} : { brief }),
  };
}
