import { constrainBoth, constrainOne } from '../budget/constrain.ts';
import type { Pair } from '../budget/pools.ts';
import type { PlannerConfig } from '../config.ts';
import type { Decision, Reason } from '../decision.ts';
import { type Capacity, capacityOf, type EngineKind, type EngineLimits, type RequestShape } from './capacity.ts';
import type { PassModel } from './model.ts';

/** Traffic that is expected of the next interval: how many requests, and their means. */
export interface Traffic extends Pick<RequestShape, 'inputTokens' | 'outputTokens' | 'kvHitRate' | 'acceptLength'> {
  readonly requests: number;
}

/** Promises to users, in seconds. */
export interface Slas {
  readonly ttft: number;
  readonly itl: number;
}

/** One kind of worker when throughput is decided. */
export interface ThroughputRole {
  /** Workers there are. */
  readonly current: number;
  readonly gpus: number;
  readonly limits: EngineLimits;
  /** Undefined while nothing is known of its passes. */
  readonly model: PassModel | undefined;
}

/** What throughput is decided from. */
export interface ThroughputState {
  readonly traffic: Traffic;
  readonly intervalSeconds: number;
  readonly slas: Slas;
  /** Most replicas that one decision adds or takes (spec planner 2); 8 by default. */
  readonly mostStep?: number;
  readonly prefill?: ThroughputRole;
  readonly decode?: ThroughputRole;
}

/** A decision, with what one engine of each kind can do by the model. */
export interface ThroughputDecision extends Decision {
  readonly capacity: { readonly prefill: Capacity | null; readonly decode: Capacity | null };
  /** What was wanted before the budget. */
  readonly wanted: Pair;
}

/** Decides by what the expected traffic needs, which is kept within the budget (spec planner 6). */
export function decideByThroughput(state: ThroughputState, config: PlannerConfig): ThroughputDecision {
  const found = { prefill: wantedOf('prefill', state, config), decode: wantedOf(config.mode === 'agg' ? 'agg' : 'decode', state, config) };
  const wanted = { prefill: found.prefill.count, decode: found.decode.count };
  const current = { prefill: state.prefill?.current ?? 0, decode: state.decode?.current ?? 0 };
  const capacity = { prefill: found.prefill.capacity, decode: found.decode.capacity };
  if (config.mode === 'disagg') {
    const pools = { gpus: { prefill: state.prefill?.gpus ?? 0, decode: state.decode?.gpus ?? 0 }, floors: config.floors };
    const { count, reason } = constrainBoth(current, wanted, pools, config.band);
    const reasons = {
      prefill: changeOf(current.prefill, count.prefill, found.prefill),
      decode: changeOf(current.decode, count.decode, found.decode),
    };
    return { ...count, reason: reason ?? worst(reasons), reasons, capacity, wanted };
  }
  const role = config.mode === 'prefill' ? 'prefill' : 'decode';
  const pool = { gpus: state[role]?.gpus ?? 0, floor: config.floors[role] };
  const { count, reason } = constrainOne(current[role], wanted[role], pool, config.band);
  return { prefill: null, decode: null, [role]: count, reason: reason ?? changeOf(current[role], count, found[role]), capacity, wanted };
}

interface Wanted {
  readonly count: number;
  readonly capacity: Capacity | null;
  readonly reason: Reason | undefined;
}

function wantedOf(kind: EngineKind, state: ThroughputState, config: PlannerConfig): Wanted {
  const role = kind === 'prefill' ? state.prefill : state.decode;
  const floor = kind === 'prefill' ? config.floors.prefill : config.floors.decode;
  const current = role?.current ?? 0;
  if (role === undefined) return { count: 0, capacity: null, reason: undefined };
  if (role.model === undefined) return { count: current, capacity: null, reason: 'model_not_ready' };
  const { traffic, intervalSeconds, slas, mostStep = 8 } = state;
  const within = (count: number): number => Math.min(current + mostStep, Math.max(current - mostStep, count));
  if (traffic.requests <= 0) return { count: within(floor), capacity: null, reason: 'no_traffic' };
  const shape: RequestShape = {
    ...traffic,
    inputTokens: Math.round(traffic.inputTokens),
    outputTokens: Math.max(1, Math.round(traffic.outputTokens)),
    ttftSla: kind === 'decode' ? null : slas.ttft,
    itlSla: kind === 'prefill' ? null : slas.itl,
  };
  const capacity = capacityOf(kind, { model: role.model, limits: role.limits }, shape);
  if (capacity === null) return { count: current, capacity, reason: 'insufficient_data' };
  const needed = Math.ceil(traffic.requests / intervalSeconds / capacity.requestsPerSecond);
  return { count: within(Math.max(floor, needed)), capacity, reason: undefined };
}

const changeOf = (current: number, count: number, { reason }: Wanted): Reason =>
  count > current ? 'scale_up' : count < current ? 'scale_down' : (reason ?? 'no_change');

const worst = (reasons: { readonly prefill: Reason; readonly decode: Reason }): Reason =>
  (['scale_up', 'scale_down', 'model_not_ready', 'insufficient_data', 'no_traffic'] as const).find(
    (reason) => reason === reasons.prefill || reason === reasons.decode,
  ) ?? 'no_change';
