import { fitPair } from './fit.ts';
import { type GpuBand, isOff, isWithin, type Pair, type Pool, type Pools, toleranceOf, totalOf } from './pools.ts';

/** Brings one kind's count into the band; 0 when its own minimum does not fit (spec planner 7, `proportional_clamp_single`). */
export function clampSingle(desired: number, { gpus, floor }: Pool, band: GpuBand): number {
  if (isOff(band) || gpus <= 0) return desired;
  const total = desired * gpus;
  if (isWithin(total, band, toleranceOf(band, gpus))) return desired;
  if (band.max >= 0 && total > band.max) return floor * gpus > band.max ? 0 : Math.max(floor, Math.floor(band.max / gpus));
  const raised = Math.max(floor, Math.ceil(band.min / gpus));
  return band.max >= 0 && raised * gpus > band.max ? desired : raised;
}

/** Brings both kinds' counts into the band and keeps their proportion; nothing of either when their minima do not fit (spec planner 7, `proportional_clamp_pair`). */
export function clampPair(desired: Pair, pools: Pools, band: GpuBand): Pair {
  const { gpus } = pools;
  if (isOff(band) || gpus.prefill <= 0 || gpus.decode <= 0) return desired;
  const total = totalOf(desired, gpus);
  if (isWithin(total, band, toleranceOf(band, gpus.prefill, gpus.decode))) return desired;
  return band.max >= 0 && total > band.max ? shrunk(desired, { total, max: band.max }, pools) : grown(desired, total, { pools, band });
}

function shrunk(desired: Pair, { total, max }: { total: number; max: number }, { gpus, floors }: Pools): Pair {
  if (totalOf(floors, gpus) > max) return { prefill: 0, decode: 0 };
  const most = Math.floor((max - floors.decode * gpus.decode) / gpus.prefill);
  const prefill = Math.max(floors.prefill, Math.min(most, Math.floor(desired.prefill * (max / total))));
  return { prefill, decode: Math.max(floors.decode, Math.floor((max - prefill * gpus.prefill) / gpus.decode)) };
}

function grown(desired: Pair, total: number, { pools, band }: { pools: Pools; band: GpuBand }): Pair {
  const { gpus, floors } = pools;
  const { min, max } = band;
  const share = total === 0 ? min / 2 / gpus.prefill : desired.prefill * (min / total);
  const prefill = Math.max(floors.prefill, Math.ceil(share));
  const needed = Math.max(floors.decode, Math.ceil(Math.max(0, min - prefill * gpus.prefill) / gpus.decode));
  const wouldShrink = needed < desired.decode;
  const proposed = { prefill, decode: Math.max(desired.decode, needed) };
  if (max < 0 || totalOf(proposed, gpus) <= max) return proposed;
  return wouldShrink ? fitPair(desired, proposed, { pools, band }) : desired;
}
