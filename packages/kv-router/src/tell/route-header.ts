import type { RouteBrief } from '../select/receipt.ts';

/** Name of the response header that tells where a request went, and why. */
export const routeHeaderName = 'x-dynamo-route';

/** The header's text: `worker=…; rank=…; overlap=12/16; cost=…; why=…`, and `events=…` where events are heard. */
export function routeHeader({ workerId, dpRank, overlap, blocks, cost, why, events }: RouteBrief): string {
  const text = `worker=${workerId}; rank=${dpRank}; overlap=${short(overlap)}/${blocks}; cost=${short(cost)}; why=${why}`;
  return events === undefined ? text : `${text}; events=${events.state}`;
}

const short = (value: number): number => Math.round(value * 1000) / 1000;
