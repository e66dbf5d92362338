export { KvPublisher } from './kv-publisher.ts';
export type { KvPublisherOptions, StoredBlocks } from './kv-publisher.ts';
export type { EngineSource } from './publish/engine-socket.ts';
export type { LoadReport } from './publish/load-reports.ts';
export type { MediaObject } from './wire/kv-event.ts';
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
