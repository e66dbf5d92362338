/** Replays a workload over simulated workers, and tells how it went. */
export { Progress } from './progress.ts';
export { type ReplayOptions, replayOffline } from './replay.ts';
export { htmlOf, pageOf } from './report/html.ts';
export { lines } from './report/plots.ts';
export { rankingOf } from './report/ranking.ts';
export { tableOf } from './report/table.ts';
export { ranked, sweep } from './sweep/sweep.ts';
export { variantsOf } from './sweep/variants.ts';
export { replayOnline } from './online/online.ts';
export { workloadOf } from './replay.ts';
export { summaryOf, requestRecord } from './wire/report.ts';
