import { DynamoError } from '@dynamo/runtime';
import { anything, float, invalid, type Member, nullable, type Reader, readWith, struct, text, truth, variant, whole } from './strict-reader.ts';

/** The engine part of a configuration, under its wire names (spec mocker 1). */
export interface WireEngine {
  readonly backend: 'vllm' | 'sglang' | 'trtllm';
  readonly num_gpu_blocks: number;
  readonly block_size: number;
  readonly max_model_len: number | null;
  readonly max_num_seqs: number | null;
  readonly max_num_batched_tokens: number | null;
  readonly prefill_schedule_interval: number;
  readonly prefill_decode_interval: number;
  readonly enable_prefix_caching: boolean;
  readonly enable_chunked_prefill: boolean;
  readonly speedup_ratio: number;
  readonly decode_speedup_ratio: number;
  readonly aic_nextn: number | null;
  readonly aic_nextn_accept_rates: string | null;
  readonly aic_mtp_seed: number | bigint;
  readonly worker_type: 'aggregated' | 'prefill' | 'decode';
  readonly preemption_mode: 'lifo' | 'fifo';
  readonly kv_transfer_bytes_per_token: number | null;
  readonly kv_transfer_bandwidth: number | null;
  readonly kv_transfer_timing_mode: 'full_prompt' | 'destination_missing';
  readonly timing_model: WireTiming;
  readonly native_host_offload?: unknown;
}

/** How passes are timed. */
export type WireTiming =
  | { readonly type: 'polynomial' }
  | { readonly type: 'fixed'; readonly prefill_ms: number; readonly decode_ms: number }
  | { readonly type: 'external'; readonly provider: string; readonly config: unknown };

/** The whole configuration of a mock worker, under its wire names. */
export interface WireLaunch {
  readonly engine: WireEngine;
  readonly dp_size: number;
  readonly startup_time: number | null;
  readonly dynamo: {
    readonly enable_local_indexer: boolean;
    readonly bootstrap_port: number | null;
    readonly handoff_session_timeout_ms: number;
    readonly reasoning: { readonly start_thinking_token_id: number; readonly end_thinking_token_id: number; readonly thinking_ratio: number } | null;
    readonly response_replay_trace_path: string | null;
    readonly zmq_kv_events_port: number | null;
    readonly zmq_replay_port: number | null;
    readonly router_queue_policy: string | null;
  };
}

const usize = whole('usize');
const u32 = whole('u32', 0xffff_ffff);
const u16 = whole('u16', 0xffff);
const member = (read: Reader, fallback: unknown): Member => ({ read, fallback });
/** Understood, and absent from the normal form unless it is set. */
const extra = (read: Reader): Member => ({ read, optional: true });

/** The order is that of the real reader's list of fields. */
const engineMembers: Readonly<Record<string, Member>> = {
  backend: member(variant('vllm', 'sglang', 'trtllm'), 'vllm'),
  num_gpu_blocks: member(usize, 16_384),
  block_size: member(nullable(usize), null),
  max_model_len: member(nullable(usize), null),
  max_num_seqs: member(nullable(usize), 256),
  max_num_batched_tokens: member(nullable(usize), 8_192),
  prefill_schedule_interval: member(usize, 1),
  prefill_decode_interval: member(usize, 0),
  enable_prefix_caching: member(truth, true),
  enable_chunked_prefill: member(truth, true),
  speedup_ratio: member(float, 1),
  decode_speedup_ratio: member(float, 1),
  aic_nextn: member(nullable(usize), null),
  aic_nextn_accept_rates: member(nullable(text), null),
  aic_mtp_seed: member(whole('u64'), 42),
  worker_type: member(variant('aggregated', 'prefill', 'decode'), 'aggregated'),
  preemption_mode: member(variant('lifo', 'fifo'), 'lifo'),
  emit_kv_events: member(truth, false),
  emit_kv_token_ids: member(truth, false),
  kv_bytes_per_token: extra(nullable(usize)),
  kv_transfer_bytes_per_token: member(nullable(usize), null),
  kv_cache_bytes_per_token: extra(nullable(usize)),
  kv_cache_groups: extra(anything),
  kv_cache_capacity_bytes: extra(anything),
  native_host_offload: extra(
    struct('struct NativeHostOffloadConfig', {
      num_host_blocks: { read: usize },
      d2h_bandwidth_gbps: member(float, 32),
      h2d_bandwidth_gbps: member(float, 32),
    }),
  ),
  state_cache: extra(anything),
  prefix_match_unit: extra(anything),
  g3_offload: extra(anything),
  kv_transfer_bandwidth: member(nullable(float), null),
  kv_transfer_timing_mode: member(variant('full_prompt', 'destination_missing'), 'full_prompt'),
  timing_model: member(readTiming, { type: 'polynomial' }),
  sglang: member(
    struct('struct SglangConfig', {
      schedule_policy: member(variant('fifo', 'lpm'), 'fifo'),
      max_prefill_tokens: member(usize, 16_384),
      chunked_prefill_size: member(usize, 8_192),
      clip_max_new_tokens: member(usize, 4_096),
      schedule_conservativeness: member(float, 1),
    }),
    { schedule_policy: 'fifo', max_prefill_tokens: 16_384, chunked_prefill_size: 8_192, clip_max_new_tokens: 4_096, schedule_conservativeness: 1 },
  ),
  trtllm: member(struct('struct TrtllmConfig', { capacity_scheduler_policy: member(variant('guaranteed_no_evict'), 'guaranteed_no_evict') }), {
    capacity_scheduler_policy: 'guaranteed_no_evict',
  }),
};

function readTiming(value: unknown): unknown {
  const kinds = {
    polynomial: {},
    fixed: { prefill_ms: { read: float }, decode_ms: { read: float } },
    external: { provider: { read: text }, config: extra(anything) },
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return struct('internally tagged enum TimingModelConfig', {})(value);
  const { type, ...rest } = value as { readonly type?: unknown };
  if (type === undefined) return invalid('missing field `type`');
  const kind = struct('', { type: { read: variant(...Object.keys(kinds)) } })({ type }) as { type: keyof typeof kinds };
  return { ...kind, ...(struct('', kinds[kind.type], { open: true })(rest) as object) };
}

const launchMembers: Readonly<Record<string, Member>> = {
  engine: member(struct('struct EngineConfigWire', engineMembers), undefined),
  dp_size: member(u32, 1),
  tensor_parallel_size: member(usize, 1),
  startup_time: member(nullable(float), null),
  num_gpu_blocks_is_explicit: member(truth, false),
  gpu_memory_utilization: member(nullable(float), null),
  mem_fraction_static: member(nullable(float), null),
  free_gpu_memory_fraction: member(nullable(float), null),
  cuda_graph_reserved_bytes: member(nullable(usize), null),
};

const runtimeMembers: Readonly<Record<string, Member>> = {
  enable_local_indexer: member(truth, false),
  bootstrap_port: member(nullable(u16), null),
  handoff_session_timeout_ms: member(whole('u64'), 300_000),
  reasoning: member(
    nullable(
      struct('struct ReasoningConfig', {
        start_thinking_token_id: { read: u32 },
        end_thinking_token_id: { read: u32 },
        thinking_ratio: { read: float },
      }),
    ),
    null,
  ),
  response_replay_trace_path: member(nullable(text), null),
  zmq_kv_events_port: member(nullable(u16), null),
  zmq_replay_port: member(nullable(u16), null),
  router_queue_policy: member(nullable(variant('fcfs', 'lcfs', 'wspt')), null),
};

/**
 * Reads a configuration and puts every default in place, as the real worker does before it starts (spec mocker 1).
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1.
 */
export function normalizeLaunch(config: unknown): WireLaunch {
  const value = typeof config === 'string' ? parse(config) : config;
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new DynamoError('invalid_argument', 'an engine configuration must be a JSON object');
  const { dynamo = {}, ...rest } = value as { readonly dynamo?: unknown };
  const launch = readWith(struct('struct EngineLaunchConfig', launchMembers), rest, 'invalid engine launch config: ');
  const engine = { ...(launch['engine'] ?? (struct('', engineMembers)({}) as object)) } as Record<string, unknown>;
  engine['block_size'] ??= { vllm: 64, sglang: 1, trtllm: 32 }[engine['backend'] as WireEngine['backend']];
  launch['engine'] = engine;
  checkEngine(engine);
  checkLaunch(launch);
  launch['dynamo'] = readWith(struct('struct MockerRuntimeOptions', runtimeMembers), dynamo, '');
  checkRuntime(launch['dynamo'] as WireLaunch['dynamo']);
  return launch as unknown as WireLaunch;
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `the engine configuration is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
}

const complain = (message: string): never => {
  throw new DynamoError('invalid_argument', message);
};

function checkEngine(engine: Record<string, unknown>): void {
  for (const name of ['num_gpu_blocks', 'block_size', 'max_model_len', 'max_num_seqs', 'max_num_batched_tokens', 'prefill_schedule_interval'])
    if (engine[name] === 0) complain(`${name} must be positive`);
  if (engine['backend'] !== 'sglang') {
    if (engine['block_size'] === 1) complain('vLLM/TRT-LLM block_size must be at least two');
    if (engine['prefill_decode_interval'] !== 0) complain('prefill_decode_interval is supported only for backend=sglang');
  }
  for (const name of ['speedup_ratio', 'decode_speedup_ratio', 'kv_transfer_bandwidth'])
    if (engine[name] !== null && !((engine[name] as number) >= 0 && (engine[name] as number) < Infinity))
      complain(`${name} must be finite and non-negative`);
  if (engine['kv_transfer_bytes_per_token'] === 0) complain('kv_transfer_bytes_per_token must be positive');
  if (engine['emit_kv_token_ids'] === true && engine['emit_kv_events'] !== true) complain('emit_kv_token_ids requires emit_kv_events');
  checkDrafts(engine);
  checkTiming(engine['timing_model'] as WireTiming);
  checkOffload(engine);
}

/** Conditional acceptance of the first, second … draft where nothing is said (spec mocker 1). */
const acceptance = [0.85, 0.3, 0, 0, 0];

function checkDrafts(engine: Record<string, unknown>): void {
  const count = engine['aic_nextn'] as number | null;
  const rates = engine['aic_nextn_accept_rates'] as string | null;
  if (count === null) {
    if (rates !== null) complain('aic_nextn_accept_rates requires aic_nextn');
    return;
  }
  if (count < 1 || count > 5) complain(`aic_nextn must be in 1..=5, got ${count}`);
  const given = rates === null ? acceptance : rates.split(',').map((part) => Number(part.trim()));
  const used = Array.from({ length: count }, (_, index) => given[index] ?? 0);
  const bad = used.findIndex((rate) => !(rate >= 0 && rate <= 1));
  if (bad >= 0) complain(`aic_nextn_accept_rates[${bad}] must be finite and in [0, 1], got ${used[bad]}`);
  engine['aic_nextn_accept_rates'] = used.join(',');
}

function checkTiming(timing: WireTiming): void {
  if (timing.type === 'fixed') {
    for (const [step, ms] of Object.entries({ prefill: timing.prefill_ms, decode: timing.decode_ms }))
      if (!(ms >= 0 && ms < Infinity)) complain(`fixed ${step} latency must be finite and non-negative`);
  } else if (timing.type === 'external' && timing.provider !== 'dynamo_profile') {
    if (timing.provider === 'ais' || timing.provider === 'aic') complain('timing provider "ais" needs AISimulate, which this version does not have');
    complain(`unsupported external timing provider "${timing.provider}"`);
  }
}

function checkOffload(engine: Record<string, unknown>): void {
  const offload = engine['native_host_offload'] as { readonly num_host_blocks: number } | undefined;
  if (offload === undefined) return;
  if (offload.num_host_blocks === 0) complain('native_host_offload.num_host_blocks must be positive');
  if (engine['enable_prefix_caching'] !== true) complain('native_host_offload requires enable_prefix_caching=true');
  if (typeof engine['kv_cache_bytes_per_token'] !== 'number')
    complain('native_host_offload requires kv_cache_bytes_per_token to derive the physical host block size');
}

function checkLaunch(launch: Record<string, unknown>): void {
  for (const name of ['dp_size', 'tensor_parallel_size']) if (launch[name] === 0) complain(`${name} must be positive`);
  const { startup_time: startup } = launch as { readonly startup_time: number | null };
  if (startup !== null && !(startup >= 0 && startup < Infinity)) complain('startup_time must be finite and non-negative');
  for (const name of ['gpu_memory_utilization', 'mem_fraction_static', 'free_gpu_memory_fraction']) {
    const part = launch[name] as number | null;
    if (part !== null && !(part >= 0 && part <= 1)) complain(`${name} must be finite and in [0, 1]`);
  }
}

function checkRuntime(runtime: WireLaunch['dynamo']): void {
  if (Number(runtime.handoff_session_timeout_ms) === 0) complain('handoff_session_timeout_ms must be positive');
  const ratio = runtime.reasoning?.thinking_ratio;
  if (ratio !== undefined && !(ratio >= 0 && ratio <= 1))
    complain(`thinking_ratio: Validation error: range [{"max": Number(1.0), "min": Number(0.0), "value": Number(${decimal(ratio)})}]`);
}

const decimal = (value: number): string => (Number.isInteger(value) ? `${value}.0` : String(value));
