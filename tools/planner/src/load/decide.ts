import { constrainBoth, constrainOne } from '../budget/constrain.ts';
import type { Pair } from '../budget/pools.ts';
import type { Capabilities, PlannerConfig } from '../config.ts';
import type { Decision, Reason } from '../decision.ts';
import { type EngineLoad, type EngineRole, signalOf } from './signals.ts';

/** What is known of one role when a decision is due. */
export interface RoleState {
  readonly capabilities: Capabilities | undefined;
  /** Workers that serve. */
  readonly ready: number;
  /** Workers that should serve by the last decision; as many as are ready when nothing is under way. */
  readonly expected?: number;
  /** One engine for each worker and rank that reports. */
  readonly engines: readonly (EngineLoad & { readonly worker?: string; readonly rank?: number })[];
}

/** The roles of a graph; workers that do both are its decode workers. */
export interface LoadState {
  readonly prefill?: RoleState;
  readonly decode?: RoleState;
  /** Fewest workers by what throughput needs: a lower bound beside the load's own opinion (spec planner 6). */
  readonly bound?: { readonly prefill: number | null; readonly decode: number | null };
}

interface Opinion {
  readonly count: number | null;
  readonly reason: Reason;
}

/** Decides by static thresholds (spec planner 5). Null counts mean: leave it as it is. */
export function decideByLoad(state: LoadState, config: PlannerConfig): Decision {
  return config.mode === 'disagg' ? decideBoth(state, config) : decideOne(state, config);
}

function decideOne(state: LoadState, config: PlannerConfig): Decision {
  const role = config.mode === 'prefill' ? 'prefill' : 'decode';
  const own = state[role] ?? missing;
  const blocked = obstacleOf(own);
  if (blocked !== undefined) return { ...nothing, reason: blocked };
  const kind: EngineRole = config.mode === 'agg' ? 'agg' : role;
  const { count, reason } = raised(opinionOf(kind, own, config), own.ready, state.bound?.[role]);
  // Workers that do both are not even held against the budget while nobody wants a change (spec planner 5).
  if (count === null && (config.mode === 'agg' || reason === 'insufficient_data')) return { ...nothing, reason };
  const floor = config.floors[role];
  const guarded = constrainOne(own.ready, count ?? own.ready, { gpus: own.capabilities?.gpus ?? 0, floor }, config.band);
  const told = guarded.reason ?? outcome({ count, reason }, own.ready, guarded.count);
  if (count === null && guarded.count === own.ready) return { ...nothing, reason: told };
  return { ...nothing, [role]: guarded.count, reason: told };
}

function decideBoth(state: LoadState, config: PlannerConfig): Decision {
  const prefill = state.prefill ?? missing;
  const decode = state.decode ?? missing;
  const blocked = obstacleOf(prefill) ?? obstacleOf(decode);
  if (blocked !== undefined) return { ...nothing, reason: blocked, reasons: { prefill: blocked, decode: blocked } };
  const opinions = {
    prefill: raised(opinionOf('prefill', prefill, config), prefill.ready, state.bound?.prefill),
    decode: raised(opinionOf('decode', decode, config), decode.ready, state.bound?.decode),
  };
  const current: Pair = { prefill: prefill.ready, decode: decode.ready };
  const desired: Pair = { prefill: opinions.prefill.count ?? current.prefill, decode: opinions.decode.count ?? current.decode };
  const pools = { gpus: { prefill: prefill.capabilities?.gpus ?? 0, decode: decode.capabilities?.gpus ?? 0 }, floors: config.floors };
  const guarded = constrainBoth(current, desired, pools, config.band);
  const reasons = {
    prefill: outcome(opinions.prefill, current.prefill, guarded.count.prefill),
    decode: outcome(opinions.decode, current.decode, guarded.count.decode),
  };
  const reason = guarded.reason ?? combined(reasons);
  if (guarded.count.prefill === current.prefill && guarded.count.decode === current.decode) return { ...nothing, reason, reasons };
  return { ...guarded.count, reason, reasons };
}

/** What came of a role's opinion when the budget had been asked (as 1.6.1 reports it). */
const outcome = ({ reason }: Opinion, current: number, count: number): Reason =>
  count > current ? 'scale_up' : count < current ? 'scale_down' : reason === 'insufficient_data' ? reason : 'no_change';

/** Which of the two roles' reasons stands for both: what costs GPUs first. */
const combined = ({ prefill, decode }: { readonly prefill: Reason; readonly decode: Reason }): Reason =>
  (['scale_up', 'scale_down', 'insufficient_data'] as const).find((reason) => reason === prefill || reason === decode) ?? 'no_change';

/** An opinion that does not go below a bound. */
function raised(opinion: Opinion, ready: number, bound: number | null | undefined): Opinion {
  if (bound === null || bound === undefined || (opinion.count ?? ready) >= bound) return opinion;
  return { count: bound, reason: opinion.reason === 'insufficient_data' ? 'no_change' : opinion.reason };
}

/** Why nothing can be decided of a role now. */
function obstacleOf({ ready, expected, engines }: RoleState): Reason | undefined {
  if (expected !== undefined && expected !== ready) return 'scaling_in_progress';
  if (engines.length === 0) return 'no_fpm_data';
  const ranks = new Map<string, number>();
  for (const [index, { worker }] of engines.entries()) {
    const name = worker ?? String(index);
    ranks.set(name, (ranks.get(name) ?? 0) + 1);
  }
  return ranks.size !== ready || new Set(ranks.values()).size > 1 ? 'worker_count_mismatch' : undefined;
}

function opinionOf(role: EngineRole, { capabilities, ready, engines }: RoleState, config: PlannerConfig): Opinion {
  const signal = signalOf(role, engines, { ...config, capabilities });
  if (signal === undefined) return { count: null, reason: 'insufficient_data' };
  if (signal.wantsMore) return { count: ready + 1, reason: 'scale_up' };
  if (!signal.wantsFewer || ready <= 1) return { count: null, reason: 'no_change' };
  const floor = role === 'prefill' ? config.floors.prefill : config.floors.decode;
  const desired = Math.max(ready - 1, floor);
  // What the fewer would have to carry must not make them ask for more again.
  const consolidated = desired > 0 ? (Math.max(...signal.values) * ready) / desired : 0;
  if (desired >= ready || consolidated >= signal.up) return { count: ready, reason: 'no_change' };
  return { count: desired, reason: 'scale_down' };
}

const missing: RoleState = { capabilities: undefined, ready: 0, engines: [] };
const nothing = { prefill: null, decode: null } as const;
