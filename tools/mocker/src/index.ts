/** Mock workers on a real clock. */
export { MockWorker, type MockWorkerOptions } from './mock-worker.ts';
