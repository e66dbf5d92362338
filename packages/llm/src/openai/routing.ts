import { type Float, float } from '@dynamo/runtime/internal';
import type { CommonRequest } from './common-fields.ts';
import type { NvExt } from './nvext.ts';

/**
 * The routing hints of a request under their wire names (spec llm 2.1).
 *
 * A priority also says how far ahead of others the request may jump in a router's queue; a negative one does not jump.
 */
export function routingOf(request: CommonRequest & { nvext?: NvExt | null }, adapter?: string): Readonly<Record<string, unknown>> {
  const nvext = request.nvext ?? undefined;
  const salt = cacheSalt(request);
  if (nvext === undefined && salt === undefined && adapter === undefined) return none;
  const routing: Record<string, unknown> = {};
  const put = (name: string, value: unknown): void => {
    if (value !== undefined && value !== null) routing[name] = value;
  };
  const hints = nvext?.agent_hints ?? undefined;
  put('backend_instance_id', nvext?.backend_instance_id);
  put('prefill_worker_id', nvext?.prefill_worker_id);
  put('decode_worker_id', nvext?.decode_worker_id);
  put('dp_rank', nvext?.dp_rank);
  put('prefill_dp_rank', nvext?.prefill_dp_rank);
  put('expected_output_tokens', hints?.osl);
  put('lora_name', adapter);
  put('cache_salt', salt);
  put('priority_jump', jumpOf(hints?.priority ?? undefined, hints?.latency_sensitivity ?? undefined));
  put('strict_priority', hints?.strict_priority);
  put('priority', hints?.priority);
  put('routing_constraints', constraintsOf(nvext?.routing_constraints));
  return routing;
}

const none: Readonly<Record<string, unknown>> = {};

function jumpOf(priority: number | undefined, latencySensitivity: number | undefined): Float | undefined {
  const jump = priority ?? latencySensitivity;
  return jump === undefined ? undefined : float(Math.max(jump, 0));
}

/** The salt of the prefix cache: an empty one counts as none. */
export function cacheSalt(request: CommonRequest & { nvext?: NvExt | null }): string | undefined {
  return (request.nvext?.cache_salt ?? request.cache_salt) || undefined;
}

function constraintsOf(constraints: NvExt['routing_constraints']): unknown {
  if (constraints === undefined || constraints === null) return undefined;
  const { required_taints: required = [], preferred_taints: preferred = {} } = constraints;
  const weights = Object.entries(preferred).map(([taint, weight]) => [taint, float(Math.fround(weight))] as const);
  return {
    ...(required.length > 0 ? { required_taints: [...new Set(required)] } : {}),
    ...(weights.length > 0 ? { preferred_taints: Object.fromEntries(weights) } : {}),
  };
}
