import { map, struct } from './validate/struct.ts';
import { type Type, boolean, f32, f64, i32, list, option, text, u32, u64 } from './validate/type.ts';

/** What an agent tells of its request (spec llm 2.1). */
export interface AgentHints {
  /** Higher is more important. */
  priority?: number | null;
  strict_priority?: number | null;
  /** Expected output tokens. */
  osl?: number | null;
  speculative_prefill?: boolean | null;
  /** An older spelling of priority, in seconds. */
  latency_sensitivity?: number | null;
}

/** Dynamo's own part of a request (spec llm 2.1 and 3.2). */
export interface NvExt {
  greed_sampling?: boolean | null;
  use_raw_prompt?: boolean | null;
  annotations?: readonly string[] | null;
  backend_instance_id?: number | bigint | null;
  /** Token ids in place of the prompt. */
  token_data?: readonly number[] | null;
  max_thinking_tokens?: number | null;
  cache_salt?: string | null;
  extra_fields?: readonly string[] | null;
  metadata_upload?: { url: string } | null;
  prefill_worker_id?: number | bigint | null;
  decode_worker_id?: number | bigint | null;
  dp_rank?: number | null;
  prefill_dp_rank?: number | null;
  agent_hints?: AgentHints | null;
  request_timestamp_ms?: number | null;
  routing_constraints?: { required_taints?: readonly string[]; preferred_taints?: Readonly<Record<string, number>> } | null;
  router?: { ttft_target?: number | null; itl_target?: number | null } | null;
}

const closed = { closed: true };
const given = (type: Type): readonly [Type, 'default'] => [option(type), 'default'];

/** The type of `nvext`; its members are in the order in which 1.6.1 lists them. */
export const nvext: Type = struct(
  'NvExt',
  {
    greed_sampling: given(boolean()),
    use_raw_prompt: given(boolean()),
    annotations: given(list(text)),
    backend_instance_id: given(u64),
    token_data: given(list(u32)),
    max_thinking_tokens: given(u32),
    cache_salt: given(text),
    extra_fields: given(list(text)),
    metadata_upload: given(struct('MetadataUpload', { url: text }, closed)),
    prefill_worker_id: given(u64),
    decode_worker_id: given(u64),
    dp_rank: given(u32),
    prefill_dp_rank: given(u32),
    agent_hints: given(
      struct(
        'AgentHints',
        {
          priority: given(i32),
          strict_priority: given(u32),
          osl: given(u32),
          speculative_prefill: given(boolean()),
          latency_sensitivity: given(f64),
        },
        closed,
      ),
    ),
    request_timestamp_ms: given(f64),
    routing_constraints: given(
      struct('RoutingConstraints', { required_taints: [list(text), 'default'], preferred_taints: [map(f32), 'default'] }, closed),
    ),
    router: given(struct('RouterParams', { ttft_target: given(f64), itl_target: given(f64) }, closed)),
  },
  closed,
);
