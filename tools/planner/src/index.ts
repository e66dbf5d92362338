/** Decides how many workers a service needs (spec planner): functions of what was measured, and nothing else. */
export { clampPair, clampSingle } from './budget/clamp.ts';
export { fitPair } from './budget/fit.ts';
export { guardPair, guardSingle } from './budget/guard.ts';
export { type Capabilities, checkConfig, type LoadThresholds, type PlannerConfig } from './config.ts';
export type { Decision } from './decision.ts';
export { decideByLoad, type LoadState } from './load/decide.ts';
export { foreignPredictors, predictorNamed } from './predict/index.ts';
export { replicasFor } from './profile/replicas.ts';
export { DecodeTable, prefillTable } from './profile/tables.ts';
export { capacityOf } from './throughput/capacity.ts';
export { decideByThroughput } from './throughput/decide.ts';
export { mockModel } from './throughput/mock-model.ts';
export { linearModel } from './throughput/model.ts';
export { PassRegression } from './throughput/regression.ts';
