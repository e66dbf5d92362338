/** Mock workers on a real clock. */
export type { LogitsMode } from './processed-tokens.ts';
export { MockWorker, type MockWorkerOptions } from './mock-worker.ts';
