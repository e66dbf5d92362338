import type { PlaneParts } from '../../parts.ts';
import type { RequestPlane } from '../request-plane.ts';
import { dialRequests } from './dial.ts';
import { listenForRequests } from './listen.ts';

/** Requests over NATS: one subject an endpoint, acknowledgements as replies (spec runtime-wire 8). */
export const natsRequests = ({ nats }: Pick<PlaneParts, 'nats'>): RequestPlane => ({
  listen: (options) => listenForRequests(nats, options),
  dial: (options) => dialRequests(nats, options),
});
