import type { RequestPlane } from '../request-plane.ts';
import { dialRequests } from './dial.ts';
import { listenForRequests } from './listen.ts';

/** Requests over TCP: one connection an address, answered in order (spec runtime-wire 4). */
export const tcpRequests = (): RequestPlane => ({ listen: listenForRequests, dial: dialRequests });
