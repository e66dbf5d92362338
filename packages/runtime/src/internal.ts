export { batches, batchesOf, itemsOf } from './async/batches.ts';
export type { BatchedIterable } from './async/batches.ts';
export { collect, pipe } from './async/pipe.ts';
export type { Run, Stage } from './async/pipe.ts';
export type { Bucket, Discovery, DiscoveryChange, DiscoveryQuery, DiscoveryRecord } from './discovery/discovery.ts';
export { errorTable } from './error.ts';
export type { ErrorRow } from './error.ts';
export { silentLogger } from './log.ts';
