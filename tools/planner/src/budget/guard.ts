import { clampPair, clampSingle } from './clamp.ts';
import { fitPair, type Limits } from './fit.ts';
import { type GpuBand, isOff, isWithin, type Pair, type Pool, toleranceOf, totalOf } from './pools.ts';

/** Why a budget changed a proposal: the counts were outside the band before, or the proposal would have left it. */
export type BudgetReason = 'gpu_budget_reconcile' | 'gpu_budget_guard_hold';

/** A proposal within the budget for a graph with one kind of worker (spec planner 7, `guard_single_scaling_budget`). */
export function guardSingle(
  { current, desired }: { readonly current: number; readonly desired: number },
  pool: Pool,
  band: GpuBand,
): { readonly count: number; readonly reason: BudgetReason | null } {
  if (isOff(band) || pool.gpus <= 0) return { count: desired, reason: null };
  const total = current * pool.gpus;
  if (!isWithin(total, band, toleranceOf(band, pool.gpus))) return { count: clampSingle(current, pool, band), reason: 'gpu_budget_reconcile' };
  const hold = { count: current, reason: 'gpu_budget_guard_hold' } as const;
  if (desired < current && band.min >= 0 && total <= band.min) return hold;
  if (desired > current && band.max >= 0 && total >= band.max) return hold;
  const clamped = clampSingle(desired, pool, band);
  const [low, high] = [Math.min(current, desired), Math.max(current, desired)];
  if (clamped < low || clamped > high) return hold;
  return clamped === current && desired !== current ? hold : { count: clamped, reason: null };
}

/** A proposal within the budget for a disaggregated graph (spec planner 7, `guard_disagg_scaling_budget`). */
export function guardPair(current: Pair, desired: Pair, limits: Limits): { readonly count: Pair; readonly reason: BudgetReason | null } {
  const { pools, band } = limits;
  const { gpus } = pools;
  if (isOff(band) || gpus.prefill <= 0 || gpus.decode <= 0) return { count: desired, reason: null };
  const total = totalOf(current, gpus);
  if (!isWithin(total, band, toleranceOf(band, gpus.prefill, gpus.decode)))
    return { count: clampPair(current, pools, band), reason: 'gpu_budget_reconcile' };
  const hold = { count: current, reason: 'gpu_budget_guard_hold' } as const;
  const up = desired.prefill > current.prefill || desired.decode > current.decode;
  const down = desired.prefill < current.prefill || desired.decode < current.decode;
  const atMin = band.min >= 0 && total <= band.min;
  const atMax = band.max >= 0 && total >= band.max;
  if (atMin && down && !up) return hold;
  if (atMax && up && !down) return hold;
  if (up && down && (atMin || atMax)) {
    const count = fitPair(current, desired, limits);
    return same(count, current) ? hold : { count, reason: null };
  }
  const count = clampPair(desired, pools, band);
  if (!isBetween(count.prefill, current.prefill, desired.prefill) || !isBetween(count.decode, current.decode, desired.decode)) return hold;
  return { count, reason: null };
}

const same = (left: Pair, right: Pair): boolean => left.prefill === right.prefill && left.decode === right.decode;

const isBetween = (value: number, from: number, to: number): boolean => value >= Math.min(from, to) && value <= Math.max(from, to);
