import type { ResponsePlane } from './response-plane.ts';
import { callHome } from './tcp/dial.ts';
import { openInput } from './tcp/input-reader.ts';
import { listenForResponses } from './tcp/listen.ts';

/** Every response plane by name: a new one is one folder and one line here. */
export const responsePlanes: Readonly<Record<ResponsePlaneName, ResponsePlane>> = { tcp: { listen: listenForResponses, callHome, openInput } };

/** Names of the response planes that exist. */
export type ResponsePlaneName = 'tcp';
