export { KvRouter } from './kv-router.ts';
export type { Placement, Reservation } from './kv-router.ts';
export type { RankLoad as WorkerLoad } from './load/active-sequences.ts';
export type { BusyThresholds } from './load/overload-monitor.ts';
export type { ReceiptCandidate, RouteReceipt } from './select/receipt.ts';
export type { Selector } from './select/selector.ts';
export type { KvRouterOptions } from './options.ts';
export { KvPublisher } from './kv-publisher.ts';
export type { KvPublisherOptions, StoredBlocks } from './kv-publisher.ts';
export type { EngineSource } from './publish/engine-socket.ts';
export type { LoadReport } from './load/load-reporter.ts';
export type {
  CompletionUsage,
  FinishReason,
  OutputOptions,
  SamplingOptions,
  StopConditions,
  TokenChunk,
  TokenRequest,
  TopLogprob,
} from './request.ts';
