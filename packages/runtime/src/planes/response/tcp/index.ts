import type { PlaneParts } from '../../parts.ts';
import type { ResponsePlane } from '../response-plane.ts';
import { callHome } from './dial.ts';
import { openInput } from './input-reader.ts';
import { listenForResponses } from './listen.ts';

/** Answers over TCP: one connection a stream (spec runtime-wire 6). */
export const tcpResponses = ({ tls }: Pick<PlaneParts, 'tls'>): ResponsePlane => ({
  listen: (options) => listenForResponses(options, tls.server),
  callHome: (options) => callHome(options, tls.client),
  openInput: (options) => openInput(options, tls.client),
});
