import type { TokenRequest } from '../request.ts';
import { object } from '../wire/members.ts';
import { topologyTaint, type WorkerConfig } from '../workers/worker-config.ts';

/** What a preferred place weighs where its worker says nothing. */
const defaultWeight = 1;

/**
 * Adds to a request what its prefill worker wants of the worker that is to fetch the blocks: the same place in a topology,
 * as a must or as a wish (spec kv-router 18.4).
 */
export function nearTo(request: TokenRequest, transfer: WorkerConfig['transfer']): TokenRequest {
  if (transfer?.value === undefined) return request;
  const taint = topologyTaint(transfer.domain, transfer.value);
  const constraints = object(request.routing?.['routing_constraints']) ?? {};
  const { required_taints: required, preferred_taints: preferred } = constraints;
  const wish =
    transfer.enforcement === 'required'
      ? { required_taints: [...new Set([...(Array.isArray(required) ? required : []), taint])] }
      : { preferred_taints: { ...object(preferred), [taint]: transfer.weight ?? defaultWeight } };
  return { ...request, routing: { ...request.routing, routing_constraints: { ...constraints, ...wish } } };
}
