import { clampPair } from './clamp.ts';
import { type BudgetReason, guardPair, guardSingle } from './guard.ts';
import type { GpuBand, Pair, Pool, Pools } from './pools.ts';

/** What came of a proposal: the counts, and why they are others than proposed. */
export interface Constrained<Count> {
  readonly count: Count;
  readonly reason: BudgetReason | null;
}

/** One kind's proposal at its minimum or above, within the budget. */
export const constrainOne = (current: number, desired: number, pool: Pool, band: GpuBand): Constrained<number> =>
  guardSingle({ current, desired: Math.max(desired, pool.floor) }, pool, band);

/** Both kinds' proposals at their minima or above, within the budget; a graph below its minima is brought up to them first (spec planner 5). */
export function constrainBoth(current: Pair, desired: Pair, pools: Pools, band: GpuBand): Constrained<Pair> {
  const { floors } = pools;
  const raised = { prefill: Math.max(desired.prefill, floors.prefill), decode: Math.max(desired.decode, floors.decode) };
  if (current.prefill < floors.prefill || current.decode < floors.decode)
    return { count: clampPair(raised, pools, band), reason: 'gpu_budget_reconcile' };
  return guardPair(current, raised, { pools, band });
}
