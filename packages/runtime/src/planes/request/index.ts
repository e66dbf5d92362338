import type { RequestPlane } from './request-plane.ts';
import { dialRequests } from './tcp/dial.ts';
import { listenForRequests } from './tcp/listen.ts';

/** Every request plane by name: a new one is one folder and one line here. */
export const requestPlanes: Readonly<Record<RequestPlaneName, RequestPlane>> = { tcp: { listen: listenForRequests, dial: dialRequests } };

/** Names of the request planes that exist. */
export type RequestPlaneName = 'tcp';
