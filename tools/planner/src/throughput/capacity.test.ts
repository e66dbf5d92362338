import { expect, test } from 'vitest';
import { vectorsOf } from '../testing/vectors.ts';
import { type Capacity, capacityOf, type EngineKind } from './capacity.ts';
import { linearModel } from './model.ts';

interface Case {
  readonly worker_type: 'prefill' | 'decode' | 'aggregated';
  readonly model_ms: {
    readonly const: number;
    readonly per_prefill_token: number;
    readonly per_decode_kv_token: number;
    readonly per_decode_request: number;
  };
  readonly limits: { readonly max_num_batched_tokens: number; readonly max_num_seqs: number; readonly max_kv_tokens: number };
  readonly request: {
    readonly isl: number;
    readonly osl: number;
    readonly ttft_sla_s: number | null;
    readonly itl_sla_s: number | null;
    readonly e2e_latency_sla_s: number | null;
    readonly kv_hit_rate: number | null;
    readonly accept_length: number | null;
  };
  readonly result: {
    readonly rps: number;
    readonly ttft_s: number | null;
    readonly itl_s: number | null;
    readonly e2e_latency_s: number | null;
    readonly eligible: boolean;
  } | null;
}

function search({ worker_type, model_ms, limits, request }: Case): Capacity | null {
  const kind: EngineKind = worker_type === 'aggregated' ? 'agg' : worker_type;
  const model = linearModel({
    constant: model_ms.const / 1_000,
    perPrefillToken: model_ms.per_prefill_token / 1_000,
    perDecodeRequest: model_ms.per_decode_request / 1_000,
    perDecodeKvToken: model_ms.per_decode_kv_token / 1_000,
  });
  return capacityOf(
    kind,
    {
      model,
      limits: { maxBatchedTokens: limits.max_num_batched_tokens, maxSequences: limits.max_num_seqs, maxKvTokens: limits.max_kv_tokens },
    },
    {
      inputTokens: request.isl,
      outputTokens: request.osl,
      ttftSla: request.ttft_sla_s,
      itlSla: request.itl_sla_s,
      e2eSla: request.e2e_latency_sla_s,
      kvHitRate: request.kv_hit_rate,
      acceptLength: request.accept_length,
    },
  );
}

const near = (left: number | null | undefined, right: number | null | undefined): boolean =>
  left === null || right === null || left === undefined || right === undefined
    ? (left ?? null) === (right ?? null)
    : Math.abs(left - right) <= 1e-9 * Math.max(1, Math.abs(right));

test('80 searches of 1.6.1 find the same best batch', () => {
  const cases = vectorsOf<Case[]>('capacity');
  expect(cases).toHaveLength(80);
  const wrong = cases.flatMap((one) => {
    const got = search(one);
    const { result } = one;
    const same =
      near(got?.requestsPerSecond, result?.rps) &&
      near(got?.ttft, result?.ttft_s) &&
      near(got?.itl, result?.itl_s) &&
      near(got?.e2e, result?.e2e_latency_s) &&
      got?.eligible === result?.eligible;
    return same ? [] : [JSON.stringify({ ...one, got })];
  });
  expect(wrong).toEqual([]);
});
