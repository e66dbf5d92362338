import { expect, test } from 'vitest';
import type { Capabilities, LoadThresholds, OptimizationTarget, PlannerConfig, PlannerMode } from '../config.ts';
import { vectorsOf } from '../testing/vectors.ts';
import { decideByLoad, type RoleState } from './decide.ts';

interface WireCaps {
  readonly num_gpu: number;
  readonly context_length: number;
  readonly max_kv_tokens: number;
  readonly max_num_batched_tokens: number;
}
interface WireEngine {
  readonly queued_prefill_tokens: number;
  readonly scheduled_decode_kv: number;
  readonly queued_decode_kv: number;
}
interface Case {
  readonly config: {
    readonly mode: PlannerMode;
    readonly optimization_target: OptimizationTarget;
    readonly min_endpoint: number;
    readonly max_gpu_budget: number;
    readonly min_gpu_budget: number;
    readonly prefill_scale_up_queue_tokens?: number;
    readonly prefill_scale_down_queue_tokens?: number;
    readonly decode_scale_up_kv_rate?: number;
    readonly decode_scale_down_kv_rate?: number;
  };
  readonly prefill_caps: WireCaps | null;
  readonly decode_caps: WireCaps | null;
  readonly ready_prefill: number;
  readonly ready_decode: number;
  readonly prefill: readonly WireEngine[];
  readonly decode: readonly WireEngine[];
  readonly decision: { readonly num_prefill: number | null; readonly num_decode: number | null } | null;
  readonly reason: string;
  readonly reason_prefill: string | null;
  readonly reason_decode: string | null;
}

const capabilities = (caps: WireCaps | null): Capabilities | undefined =>
  caps === null
    ? undefined
    : { gpus: caps.num_gpu, contextLength: caps.context_length, maxKvTokens: caps.max_kv_tokens, maxBatchedTokens: caps.max_num_batched_tokens };

const role = (caps: WireCaps | null, ready: number, engines: readonly WireEngine[]): RoleState => ({
  capabilities: capabilities(caps),
  ready,
  engines: engines.map((engine) => ({
    queuedPrefillTokens: engine.queued_prefill_tokens,
    scheduledDecodeKv: engine.scheduled_decode_kv,
    queuedDecodeKv: engine.queued_decode_kv,
  })),
});

function configOf({ config }: Case): PlannerConfig {
  const thresholds: LoadThresholds | undefined =
    config.optimization_target === 'load'
      ? {
          prefillUpTokens: config.prefill_scale_up_queue_tokens ?? 0,
          prefillDownTokens: config.prefill_scale_down_queue_tokens ?? 0,
          decodeUpPercent: config.decode_scale_up_kv_rate ?? 0,
          decodeDownPercent: config.decode_scale_down_kv_rate ?? 0,
        }
      : undefined;
  return {
    mode: config.mode,
    target: config.optimization_target,
    band: { min: config.min_gpu_budget, max: config.max_gpu_budget },
    floors: { prefill: config.min_endpoint, decode: config.min_endpoint },
    ...(thresholds === undefined ? {} : { thresholds }),
  };
}

for (const name of ['load_static', 'load_static_2'])
  test(`${name}: 150 decisions of 1.6.1, with their reasons`, () => {
    const cases = vectorsOf<Case[]>(name);
    expect(cases).toHaveLength(150);
    const wrong = cases.flatMap((one) => {
      const state = {
        prefill: role(one.prefill_caps, one.ready_prefill, one.prefill),
        decode: role(one.decode_caps, one.ready_decode, one.decode),
      };
      const { prefill, decode, reason, reasons } = decideByLoad(state, configOf(one));
      const decision = prefill === null && decode === null ? null : { num_prefill: prefill, num_decode: decode };
      const got = { decision, reason, reason_prefill: reasons?.prefill ?? null, reason_decode: reasons?.decode ?? null };
      const wanted = { decision: one.decision, reason: one.reason, reason_prefill: one.reason_prefill, reason_decode: one.reason_decode };
      return JSON.stringify(got) === JSON.stringify(wanted) ? [] : [JSON.stringify({ ...one, got })];
    });
    expect(wrong.length === 0 ? [] : wrong.slice(0, 3)).toEqual([]);
  });
