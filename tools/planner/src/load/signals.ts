import type { Capabilities, LoadThresholds, OptimizationTarget } from '../config.ts';

/** What one engine (a worker and one of its ranks) reports of its load, in tokens. */
export interface EngineLoad {
  readonly queuedPrefillTokens: number;
  readonly scheduledDecodeKv: number;
  readonly queuedDecodeKv: number;
}

/** How an engine is looked at: by its queue of prompts, by its cache, or by both together. */
export type EngineRole = 'prefill' | 'decode' | 'agg';

/** When a role's numbers ask for more workers or for fewer. */
export interface Signal {
  readonly values: readonly number[];
  /** From this value on (or above it) one engine is enough to scale up; also what a consolidated fleet must stay below. */
  readonly up: number;
  readonly wantsMore: boolean;
  readonly wantsFewer: boolean;
}

type Rule = { readonly up: number; readonly more: (value: number) => boolean; readonly fewer: (value: number) => boolean };

const atLeast = (up: number, fewer: (value: number) => boolean): Rule => ({ up, more: (value) => value >= up, fewer });
const above = (up: number, fewer: (value: number) => boolean): Rule => ({ up, more: (value) => value > up, fewer });

/** Thresholds of the queue, relative to the context length (spec planner 5). */
const queueRules = {
  throughput: atLeast(1, (value) => value < 0.1),
  latency: atLeast(0.1, (value) => value <= 0),
} as const;

/** Thresholds of the cache in use (spec planner 5). */
const cacheRules = {
  throughput: above(1, (value) => value < 0.6),
  latency: above(0.4, (value) => value < 0.1),
} as const;

/** What the engines of one role ask for; undefined when a capability that it takes is not known. */
export function signalOf(role: EngineRole, loads: readonly EngineLoad[], options: SignalOptions): Signal | undefined {
  return role === 'prefill' ? queueSignal(loads, options) : cacheSignal(role, loads, options);
}

/** What signals are judged by. */
export interface SignalOptions {
  readonly target: OptimizationTarget;
  readonly thresholds?: LoadThresholds;
  readonly capabilities: Capabilities | undefined;
}

function queueSignal(loads: readonly EngineLoad[], { target, thresholds, capabilities }: SignalOptions): Signal | undefined {
  if (target === 'load') {
    if (thresholds === undefined) return undefined;
    const { prefillUpTokens, prefillDownTokens } = thresholds;
    return judged(
      loads.map((load) => load.queuedPrefillTokens),
      atLeast(prefillUpTokens, (value) => value <= prefillDownTokens),
    );
  }
  const context = capabilities?.contextLength ?? 0;
  if (context <= 0) return undefined;
  return judged(
    loads.map((load) => load.queuedPrefillTokens / context),
    queueRules[target],
  );
}

function cacheSignal(role: EngineRole, loads: readonly EngineLoad[], { target, thresholds, capabilities }: SignalOptions): Signal | undefined {
  const room = capabilities?.maxKvTokens ?? 0;
  if (room <= 0 || (target === 'load' && thresholds === undefined)) return undefined;
  const values = loads.map((load) => {
    const prompts = role === 'agg' ? load.queuedPrefillTokens : 0;
    return (load.scheduledDecodeKv + load.queuedDecodeKv + prompts) / room;
  });
  if (target !== 'load') return judged(values, cacheRules[target]);
  const { decodeUpPercent = 0, decodeDownPercent = 0 } = thresholds ?? {};
  return judged(
    values,
    atLeast(decodeUpPercent / 100, (value) => value <= decodeDownPercent / 100),
  );
}

const judged = (values: readonly number[], { up, more, fewer }: Rule): Signal => ({
  values,
  up,
  wantsMore: values.some(more),
  wantsFewer: values.every(fewer),
});
