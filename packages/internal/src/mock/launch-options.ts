import { DynamoError } from '@dynamo/runtime';
import type { MockEngineOptions } from './options.ts';
import { FixedTiming, type MockTiming, PolynomialTiming, ProfileTiming } from './timing.ts';
import { normalizeLaunch, type WireLaunch, type WireTiming } from './wire/launch-config.ts';
import { readProfile } from './wire/profile.ts';

/** How a mock worker runs: its engine, and what surrounds it. */
export interface MockLaunch {
  /** Of each rank. */
  readonly engine: MockEngineOptions;
  /** Data-parallel ranks. */
  readonly ranks: number;
  /** Pause before the worker registers, in seconds. */
  readonly startupSeconds: number;
  /** Time that a prompt's KV cache needs to a decode worker, in milliseconds a token; undefined where nothing is said. */
  readonly transferMsPerToken: number | undefined;
  /** Whether only those tokens travel that the decode worker does not have. */
  readonly transferMissingOnly: boolean;
  readonly localIndexer: boolean;
  readonly bootstrapPort: number | undefined;
  readonly handoffTimeoutMs: number;
  readonly reasoning: { readonly start: number; readonly end: number; readonly ratio: number } | undefined;
  /** Trace with answers to give. */
  readonly repliesPath: string | undefined;
  readonly eventPort: number | undefined;
  readonly replayPort: number | undefined;
  readonly queuePolicy: string | undefined;
  /** The configuration with every default, under its wire names. */
  readonly wire: WireLaunch;
}

/**
 * Reads a worker's configuration, JSON text or an object under the real names (spec mocker 1), and the tables that it names.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1; also for what this version does not simulate.
 */
export async function readMockLaunch(config: unknown = {}): Promise<MockLaunch> {
  const wire = normalizeLaunch(config);
  const { engine, dynamo } = wire;
  refuse(engine.backend === 'sglang', 'backend "sglang"');
  refuse(engine.native_host_offload !== undefined, 'native_host_offload');
  refuse(engine.aic_nextn !== null, 'aic_nextn');
  const { kv_transfer_bandwidth: bandwidth, kv_transfer_bytes_per_token: bytes, timing_model: timing } = engine;
  return {
    engine: {
      backend: engine.backend === 'trtllm' ? 'trtllm' : 'vllm',
      blocks: engine.num_gpu_blocks,
      blockSize: engine.block_size,
      maxModelLength: engine.max_model_len ?? Infinity,
      maxSequences: engine.max_num_seqs ?? Infinity,
      maxBatchedTokens: engine.max_num_batched_tokens ?? Infinity,
      prefixCaching: engine.enable_prefix_caching,
      chunkedPrefill: engine.enable_chunked_prefill,
      speedup: engine.speedup_ratio,
      decodeSpeedup: engine.decode_speedup_ratio,
      role: engine.worker_type,
      preemption: engine.preemption_mode,
      timing: await timingOf(timing),
    },
    ranks: wire.dp_size,
    startupSeconds: wire.startup_time ?? 0,
    transferMsPerToken: bandwidth === null || bytes === null || bandwidth === 0 ? undefined : (bytes / (bandwidth * 1e9)) * 1_000,
    transferMissingOnly: engine.kv_transfer_timing_mode === 'destination_missing',
    localIndexer: dynamo.enable_local_indexer,
    bootstrapPort: dynamo.bootstrap_port ?? undefined,
    handoffTimeoutMs: Number(dynamo.handoff_session_timeout_ms),
    reasoning:
      dynamo.reasoning === null
        ? undefined
        : {
            start: dynamo.reasoning.start_thinking_token_id,
            end: dynamo.reasoning.end_thinking_token_id,
            ratio: dynamo.reasoning.thinking_ratio,
          },
    repliesPath: dynamo.response_replay_trace_path ?? undefined,
    eventPort: dynamo.zmq_kv_events_port ?? undefined,
    replayPort: dynamo.zmq_replay_port ?? undefined,
    queuePolicy: dynamo.router_queue_policy ?? undefined,
    wire,
  };
}

function refuse(condition: boolean, what: string): void {
  if (condition) throw new DynamoError('invalid_argument', `${what} is not simulated by this version`);
}

async function timingOf(timing: WireTiming): Promise<MockTiming> {
  if (timing.type === 'polynomial') return new PolynomialTiming();
  if (timing.type === 'fixed') return new FixedTiming(timing.prefill_ms, timing.decode_ms);
  const { path } = timing.config as { readonly path?: unknown };
  if (typeof path !== 'string') throw new DynamoError('invalid_argument', 'the timing provider "dynamo_profile" needs a path');
  const tables = await readProfile(path);
  return new ProfileTiming({
    prefillTokens: tables.prefill_isl,
    prefillMs: tables.prefill_ttft_ms,
    activeTokens: tables.decode_active_kv_tokens,
    contextLength: tables.decode_context_length,
    decodeMs: tables.decode_itl,
  });
}
