import type { PlaneParts } from '../parts.ts';
import type { ResponsePlane } from './response-plane.ts';
import { tcpResponses } from './tcp/index.ts';

/** Every response plane by name: a new one is one folder and one line here. */
export const responsePlanes: Readonly<Record<ResponsePlaneName, (parts: PlaneParts) => ResponsePlane>> = { tcp: tcpResponses };

/** Names of the response planes that exist. */
export type ResponsePlaneName = 'tcp';
