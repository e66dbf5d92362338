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
