export { Llm } from './llm.ts';
export type { Frontend, FrontendOptions } from './frontend/frontend.ts';
export type { CardOptions } from './model/card.ts';
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
export type { ServeModelOptions } from './worker/serve-model.ts';
