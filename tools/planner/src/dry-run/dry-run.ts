import type { Pair } from '../budget/pools.ts';
import { checkConfig, type PlannerConfig, rolesOf } from '../config.ts';
import { TrafficForecast, type ForecastOptions } from '../predict/forecast.ts';
import type { EngineLimits } from '../throughput/capacity.ts';
import { decideByThroughput, type Slas, type ThroughputDecision, type ThroughputRole } from '../throughput/decide.ts';
import type { PassModel } from '../throughput/model.ts';
import type { TrafficWindow } from './windows.ts';

/** How a day is planned on paper. */
export interface DryRunOptions {
  readonly config: PlannerConfig;
  readonly intervalSeconds: number;
  readonly slas: Slas;
  readonly gpus: Pair;
  readonly limits: EngineLimits;
  readonly model: PassModel;
  readonly forecast?: ForecastOptions;
  readonly mostStep?: number;
  readonly warn?: (text: string) => void;
}

/** One interval of a plan. */
export interface PlannedStep {
  readonly window: TrafficWindow;
  /** Requests that were expected of it. */
  readonly expected: number;
  /** Workers that it had. */
  readonly workers: Pair;
  /** Workers that it would have needed, as is known afterwards; what the budget forbids is among them. */
  readonly needed: Pair;
  readonly decision: ThroughputDecision;
}

/** Plans intervals one after the other, each from what was known before it: predict, decide, then observe (spec planner 8). */
export function dryRun(windows: readonly TrafficWindow[], options: DryRunOptions): readonly PlannedStep[] {
  const { config, intervalSeconds, slas, gpus, mostStep } = options;
  checkConfig(config, gpus);
  const forecast = new TrafficForecast(options.forecast ?? {}, options.warn);
  const roles = rolesOf(config.mode);
  const role = (name: keyof Pair, current: number): ThroughputRole => ({ current, gpus: gpus[name], limits: options.limits, model: options.model });
  const free: PlannerConfig = { ...config, band: { min: -1, max: -1 } };
  let workers: Pair = { prefill: roles.includes('prefill') ? config.floors.prefill : 0, decode: roles.includes('decode') ? config.floors.decode : 0 };
  return windows.map((window) => {
    const expected = forecast.predict();
    const state = (current: Pair) => ({
      intervalSeconds,
      slas,
      ...(roles.includes('prefill') ? { prefill: role('prefill', current.prefill) } : {}),
      ...(roles.includes('decode') ? { decode: role('decode', current.decode) } : {}),
    });
    const decision = decideByThroughput({ ...state(workers), traffic: expected, ...(mostStep === undefined ? {} : { mostStep }) }, config);
    workers = { prefill: decision.prefill ?? workers.prefill, decode: decision.decode ?? workers.decode };
    const needed = decideByThroughput({ ...state(workers), traffic: window, mostStep: Infinity }, free).wanted;
    forecast.observe(window);
    return { window, expected: expected.requests, workers, needed, decision };
  });
}
