export type {
  CompletionUsage,
  Engine,
  FinishReason,
  OutputOptions,
  SamplingOptions,
  StopConditions,
  TokenChunk,
  TokenRequest,
  TopLogprob,
} from './request.ts';
