import { expect, test } from 'vitest';
import { vectorsOf } from '../testing/vectors.ts';
import { replicasFor } from './replicas.ts';
import { cubicSpline } from './spline.ts';
import { DecodeTable, prefillTable } from './tables.ts';

interface Vectors {
  readonly prefill: {
    readonly prefill_isl: number[];
    readonly prefill_ttft: number[];
    readonly prefill_thpt_per_gpu: number[];
    readonly queries: [number, number, number][];
  };
  readonly decode: {
    readonly y_context_length: number[];
    readonly max_kv_tokens: number;
    readonly itl_queries: [number, number, number, number, number, number][];
    readonly best_queries: [number, number, number, number, number][];
    readonly grid_itl: number[][];
    readonly grid_thpt: number[][];
  };
}

const vectors = vectorsOf<Vectors>('profile_interpolation');
const prefill = prefillTable({
  inputTokens: vectors.prefill.prefill_isl,
  ttftMs: vectors.prefill.prefill_ttft,
  tokensPerGpu: vectors.prefill.prefill_thpt_per_gpu,
});
const decode = new DecodeTable({
  itlMs: vectors.decode.grid_itl,
  tokensPerGpu: vectors.decode.grid_thpt,
  longestContext: Math.max(...vectors.decode.y_context_length),
  maxKvTokens: vectors.decode.max_kv_tokens,
});

const close = (got: number, wanted: number, tolerance: number): void =>
  expect(Math.abs(got - wanted)).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)));

test('prefill: times and rates between what was measured', () => {
  for (const [length, ttft, rate] of vectors.prefill.queries) {
    close(prefill.ttftMs(length), ttft, 1e-9);
    close(prefill.tokensPerGpu(length), rate, 1e-9);
  }
});

test('decode: times at a load, and the fullest cache in time', () => {
  for (const [concurrency, context, , , itl, rate] of vectors.decode.itl_queries) {
    const point = decode.at(concurrency, context);
    close(point.itlMs, itl, 1e-6);
    close(point.tokensPerGpu, rate, 1e-6);
  }
  for (const [target, context, rate, itl, usage] of vectors.decode.best_queries) {
    const point = decode.best(target, context);
    close(point.tokensPerGpu, rate, 1e-6);
    close(point.itlMs, itl, 1e-6);
    close(point.kvUsage, usage, 1e-9);
  }
});

test('40 demands need the replicas of the January planner', () => {
  const cases = vectorsOf<{ args: Record<string, number>; num_req: number; isl: number; osl: number; result: number[] }[]>('replica_requirements');
  expect(cases).toHaveLength(40);
  const wrong = cases.flatMap((one) => {
    const args = (name: string): number => one.args[name] as number;
    const got = replicasFor(
      { requests: one.num_req, inputTokens: one.isl, outputTokens: one.osl },
      { prefill, decode },
      {
        intervalSeconds: args('adjustment_interval'),
        itlMs: args('itl'),
        gpus: { prefill: args('prefill_engine_num_gpu'), decode: args('decode_engine_num_gpu') },
        floor: args('min_endpoint'),
        maxGpus: args('max_gpu_budget'),
        prefillCorrection: args('p_corr'),
        decodeCorrection: args('d_corr'),
      },
    );
    return got.prefill === one.result[0] && got.decode === one.result[1] ? [] : [JSON.stringify({ ...one, got })];
  });
  expect(wrong).toEqual([]);
});

test('a spline keeps a cubic, and refuses what is no profile', () => {
  const cubic = (x: number): number => x ** 3 - 4 * x ** 2 + x - 7;
  const xs = [0, 1, 2.5, 4, 7];
  const spline = cubicSpline(xs, xs.map(cubic));
  for (const x of [0.2, 1.7, 3.3, 6.9]) expect(spline(x)).toBeCloseTo(cubic(x), 9);
  for (const [points, values] of [
    [[], []],
    [[1, 2], [1]],
    [
      [2, 1],
      [1, 1],
    ],
    [
      [1, NaN],
      [1, 1],
    ],
  ] as const)
    expect(() => cubicSpline(points, values)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});
