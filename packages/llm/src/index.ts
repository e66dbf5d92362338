export { Llm } from './llm.ts';
export type { Frontend, FrontendLimits, FrontendOptions } from './frontend/frontend.ts';
export type {
  ChatChunk,
  ChatRequest,
  CompletionChunk,
  CompletionRequest,
  EmbeddingRequest,
  EmbeddingResponse,
  InjectRequest,
  InjectResponse,
} from './frontend/calls.ts';
export type { HttpOptions } from './http/settings.ts';
export type { CardOptions } from './model/card.ts';
export type {
  CompletionUsage,
  FinishReason,
  OutputOptions,
  SamplingOptions,
  StopConditions,
  TokenChunk,
  TokenRequest,
  TopLogprob,
} from '@dynamo/kv-router';
export type { Engine } from './worker/engine.ts';
export type { LogitsProcessor } from './worker/logits.ts';
export type { Tensors } from './model/tensor-types.ts';
export type { ServedModel, ServeModelOptions } from './worker/serve-model.ts';
