import type { PlaneParts } from '../../parts.ts';
import type { RequestPlane } from '../request-plane.ts';
import { dialRequests } from './dial.ts';
import { listenForRequests } from './listen.ts';

/** Requests over TCP: one connection an address, answered in order (spec runtime-wire 4). */
export const tcpRequests = ({ tls }: Pick<PlaneParts, 'tls'>): RequestPlane => ({
  listen: (options) => listenForRequests(options, tls.server),
  dial: (options) => dialRequests(options, tls.client),
});
