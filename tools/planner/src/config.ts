import { DynamoError } from '@dynamo/runtime';
import type { Pair } from './budget/pools.ts';

/** Which kinds of workers are scaled: both of a disaggregated graph, one of them, or workers that do both. */
export type PlannerMode = 'disagg' | 'prefill' | 'decode' | 'agg';

/** What thresholds aim at (spec planner 2). */
export type OptimizationTarget = 'throughput' | 'latency' | 'load';

/** Thresholds of the target `load`: waiting prompt tokens, and the use of the cache in percent. */
export interface LoadThresholds {
  readonly prefillUpTokens: number;
  readonly prefillDownTokens: number;
  readonly decodeUpPercent: number;
  readonly decodeDownPercent: number;
}

/** What a decision depends on beside what was measured. Defaults are those of spec planner 2. */
export interface PlannerConfig {
  readonly mode: PlannerMode;
  readonly target: OptimizationTarget;
  /** Only, and always, with the target `load`. */
  readonly thresholds?: LoadThresholds;
  /** GPUs of the whole graph; a negative bound is off. */
  readonly band: { readonly min: number; readonly max: number };
  /** Fewest replicas of each role. */
  readonly floors: Pair;
}

/** What one kind of worker can do, from its model card; null where the card does not say. */
export interface Capabilities {
  readonly gpus: number;
  readonly contextLength: number | null;
  readonly maxKvTokens: number | null;
  readonly maxBatchedTokens: number | null;
}

/**
 * Checks what can't be told from a single value.
 *
 * @throws DynamoError `invalid_argument` for thresholds that are missing, crossed or out of range, for a budget that is
 * empty or below the smallest fleet, and for counts that are no whole numbers.
 */
export function checkConfig(config: PlannerConfig, gpus: Partial<Pair> = {}): void {
  const { target, thresholds, band, floors } = config;
  if (target === 'load') checkThresholds(thresholds);
  for (const [name, floor] of Object.entries(floors) as [keyof Pair, number][])
    if (!Number.isSafeInteger(floor) || floor < 0) throw invalid(`the fewest ${name} workers must be a whole number from 0 on, not ${floor}`);
  for (const bound of [band.min, band.max])
    if (!Number.isSafeInteger(bound)) throw invalid(`a bound of the GPU budget must be a whole number, not ${bound}`);
  if (band.min >= 0 && band.max >= 0 && band.min > band.max)
    throw invalid(`the GPU budget can't be met: its minimum ${band.min} is above its maximum ${band.max}`);
  const roles = rolesOf(config.mode);
  const smallest = roles.reduce((sum, role) => sum + floors[role] * (gpus[role] ?? 0), 0);
  if (band.max >= 0 && smallest > band.max)
    throw invalid(`the GPU budget can't be met: the fewest workers take ${smallest} GPUs, the maximum is ${band.max}`);
}

/** The roles that a mode scales; workers that do both count as decode workers. */
export const rolesOf = (mode: PlannerMode): readonly (keyof Pair)[] =>
  mode === 'disagg' ? ['prefill', 'decode'] : mode === 'prefill' ? ['prefill'] : ['decode'];

function checkThresholds(thresholds: LoadThresholds | undefined): void {
  if (thresholds === undefined) throw invalid("the target 'load' needs its four thresholds");
  const { prefillUpTokens, prefillDownTokens, decodeUpPercent, decodeDownPercent } = thresholds;
  for (const value of [prefillUpTokens, prefillDownTokens, decodeUpPercent, decodeDownPercent])
    if (!Number.isFinite(value) || value < 0) throw invalid(`a load threshold must be a number from 0 on, not ${value}`);
  if (prefillUpTokens <= prefillDownTokens || decodeUpPercent <= decodeDownPercent)
    throw invalid('a load threshold for scaling up must be above the one for scaling down');
}

const invalid = (message: string): DynamoError => new DynamoError('invalid_argument', message);
