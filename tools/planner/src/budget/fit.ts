import { type GpuBand, isWithin, type Pair, type Pools, toleranceOf, totalOf } from './pools.ts';

/** What both counts must respect. */
export interface Limits {
  readonly pools: Pools;
  readonly band: GpuBand;
}

/**
 * The counts on the way from the current to the proposed ones that come nearest to these and respect the limits; the
 * current ones when there are none (spec planner 7, `fit_directional_budget_pair`).
 *
 * Where one kind goes up and the other down, both move or neither.
 */
export function fitPair(current: Pair, proposed: Pair, limits: Limits): Pair {
  if (respects(proposed, limits)) return proposed;
  const opposing = (proposed.prefill - current.prefill) * (proposed.decode - current.decode) < 0;
  let best: { readonly pair: Pair; readonly score: readonly number[] } | undefined;
  for (const prefill of between(current.prefill, proposed.prefill)) {
    for (const decode of between(current.decode, proposed.decode)) {
      const pair = { prefill, decode };
      if (opposing && (prefill === current.prefill) !== (decode === current.decode)) continue;
      if (!respects(pair, limits)) continue;
      const score = scoreOf(pair, current, proposed);
      if (best === undefined || isSmaller(score, best.score)) best = { pair, score };
    }
  }
  return best?.pair ?? current;
}

function respects(pair: Pair, { pools: { gpus, floors }, band }: Limits): boolean {
  if (pair.prefill < floors.prefill || pair.decode < floors.decode) return false;
  return isWithin(totalOf(pair, gpus), band, toleranceOf(band, gpus.prefill, gpus.decode));
}

/** Near the proposal first, then along the straight line to it, then far from where it began. */
function scoreOf(pair: Pair, current: Pair, proposed: Pair): readonly number[] {
  const moved = { prefill: Math.abs(pair.prefill - current.prefill), decode: Math.abs(pair.decode - current.decode) };
  const wanted = { prefill: Math.abs(proposed.prefill - current.prefill), decode: Math.abs(proposed.decode - current.decode) };
  return [
    Math.abs(proposed.prefill - pair.prefill) + Math.abs(proposed.decode - pair.decode),
    Math.abs(moved.prefill * wanted.decode - moved.decode * wanted.prefill),
    -(moved.prefill + moved.decode),
    pair.prefill,
    pair.decode,
  ];
}

function isSmaller(left: readonly number[], right: readonly number[]): boolean {
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}

function* between(from: number, to: number): Generator<number> {
  for (let count = Math.min(from, to); count <= Math.max(from, to); count++) yield count;
}
