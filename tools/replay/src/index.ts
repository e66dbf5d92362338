/** Replays a workload over simulated workers, and tells how it went. */
export { replayOffline } from './replay.ts';
export type { ReplayOptions, ReplayResult } from './replay.ts';
export { openMooncake } from './trace/mooncake.ts';
export { synthetic } from './trace/synthetic.ts';
export type { SyntheticOptions } from './trace/synthetic.ts';
