import type { Pair } from '../budget/pools.ts';
import type { DecodeTable, PrefillTable } from './tables.ts';

/** How measured tables are turned into counts (spec planner 8). */
export interface ReplicaOptions {
  readonly intervalSeconds: number;
  readonly itlMs: number;
  readonly gpus: Pair;
  readonly floor: number;
  readonly maxGpus: number;
  /** Measured time to the first token over the expected one; default 1. */
  readonly prefillCorrection?: number;
  /** Measured time between tokens over the expected one; default 1. */
  readonly decodeCorrection?: number;
}

/** What is expected of an interval: how many requests, and how long their prompts and answers are on average. */
export interface Demand {
  readonly requests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** How many workers of each kind an interval needs, by what was measured of them (spec planner 8). */
export function replicasFor(demand: Demand, tables: { readonly prefill: PrefillTable; readonly decode: DecodeTable }, options: ReplicaOptions): Pair {
  const { intervalSeconds, gpus, floor, maxGpus, prefillCorrection = 1, decodeCorrection = 1 } = options;
  const prompts = ((demand.requests * demand.inputTokens) / intervalSeconds) * Math.min(1, prefillCorrection);
  const answers = (demand.requests * demand.outputTokens) / intervalSeconds;
  const itlMs = decodeCorrection <= 0 ? options.itlMs : options.itlMs / decodeCorrection;
  const context = demand.inputTokens + demand.outputTokens / 2;
  const prefill = Math.max(floor, Math.ceil(prompts / tables.prefill.tokensPerGpu(demand.inputTokens) / gpus.prefill));
  const decode = Math.max(floor, Math.ceil(answers / tables.decode.best(itlMs, context).tokensPerGpu / gpus.decode));
  const total = prefill * gpus.prefill + decode * gpus.decode;
  if (total <= maxGpus) return { prefill, decode };
  const fewer = Math.max(floor, halfToEven((prefill * maxGpus) / total));
  return { prefill: fewer, decode: Math.max(floor, halfToEven((maxGpus - fewer * gpus.prefill) / gpus.decode)) };
}

function halfToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}
