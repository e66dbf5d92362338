import type { PlaneParts } from '../parts.ts';
import { natsRequests } from './nats/index.ts';
import type { RequestPlane } from './request-plane.ts';
import { tcpRequests } from './tcp/index.ts';

/** Every request plane by name: a new one is one folder and one line here. */
export const requestPlanes: Readonly<Record<RequestPlaneName, (parts: PlaneParts) => RequestPlane>> = { tcp: tcpRequests, nats: natsRequests };

/** Names of the request planes that exist. */
export type RequestPlaneName = 'tcp' | 'nats';
