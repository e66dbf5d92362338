/** One number for each of the two roles. */
export interface Pair {
  readonly prefill: number;
  readonly decode: number;
}

/** How many GPUs the whole graph may hold; a negative bound is off (spec planner 7). */
export interface GpuBand {
  readonly min: number;
  readonly max: number;
}

/** One kind of worker: GPUs a replica takes, and the fewest replicas it may have. */
export interface Pool {
  readonly gpus: number;
  readonly floor: number;
}

/** Both kinds of a disaggregated graph. */
export interface Pools {
  readonly gpus: Pair;
  readonly floors: Pair;
}

/** GPUs that so many replicas take. */
export const totalOf = (count: Pair, gpus: Pair): number => count.prefill * gpus.prefill + count.decode * gpus.decode;

/** How far below the minimum a total may lie: one replica of the larger kind, but only between two active bounds, which one replica could jump over. */
export const toleranceOf = ({ min, max }: GpuBand, ...gpus: readonly number[]): number => (min >= 0 && max >= 0 ? Math.max(0, ...gpus) : 0);

/** Whether a total of GPUs is within the band; the tolerance relaxes its minimum only. */
export const isWithin = (total: number, { min, max }: GpuBand, tolerance: number): boolean =>
  (max < 0 || total <= max) && (min < 0 || total >= min - tolerance);

/** Whether neither bound is active. */
export const isOff = ({ min, max }: GpuBand): boolean => min < 0 && max < 0;
