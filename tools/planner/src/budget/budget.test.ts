import { expect, test } from 'vitest';
import { vectorsOf } from '../testing/vectors.ts';
import { clampPair, clampSingle } from './clamp.ts';
import { fitPair } from './fit.ts';
import { guardPair, guardSingle } from './guard.ts';
import type { GpuBand, Pair, Pools } from './pools.ts';

type Case = { readonly args: readonly number[]; readonly result: unknown };
const vectors = vectorsOf<Record<string, readonly Case[]>>('budget');

const pair = (args: readonly number[], at: number): Pair => ({ prefill: args[at] as number, decode: args[at + 1] as number });
const band = (args: readonly number[], at: number): GpuBand => ({ min: args[at] as number, max: args[at + 1] as number });
/** GPUs of both, the band and both minima, in this order. */
const limits = (args: readonly number[], at: number): { pools: Pools; band: GpuBand } => ({
  pools: { gpus: pair(args, at), floors: pair(args, at + 4) },
  band: band(args, at + 2),
});

const functions: Readonly<Record<string, (args: readonly number[]) => unknown>> = {
  proportional_clamp_single: (a) => clampSingle(a[0] as number, { gpus: a[1] as number, floor: a[4] as number }, band(a, 2)),
  proportional_clamp_pair(a) {
    const { pools, band: within } = limits(a, 2);
    const { prefill, decode } = clampPair(pair(a, 0), pools, within);
    return [prefill, decode];
  },
  fit_directional_budget_pair(a) {
    const { prefill, decode } = fitPair(pair(a, 0), pair(a, 2), limits(a, 4));
    return [prefill, decode];
  },
  guard_single_scaling_budget(a) {
    const pool = { gpus: a[2] as number, floor: a[5] as number };
    const { count, reason } = guardSingle({ current: a[0] as number, desired: a[1] as number }, pool, band(a, 3));
    return [count, reason];
  },
  guard_disagg_scaling_budget(a) {
    const { count, reason } = guardPair(pair(a, 0), pair(a, 2), limits(a, 4));
    return [count.prefill, count.decode, reason];
  },
};

test('every kind of case has its function', () => {
  expect(Object.keys(vectors).toSorted()).toEqual(Object.keys(functions).toSorted());
});

for (const [name, cases] of Object.entries(vectors))
  test(`${name}: ${cases.length} cases of 1.6.1`, () => {
    const wrong = cases.flatMap(({ args, result }) => {
      const got = functions[name]?.(args);
      return JSON.stringify(got) === JSON.stringify(result) ? [] : [{ args, result, got }];
    });
    expect(wrong).toEqual([]);
  });
