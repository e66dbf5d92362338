/** When a generation ends, as the engine is told. Absent members mean "not set" (spec llm 2.1). */
export interface StopConditions {
  maxTokens?: number;
  minTokens?: number;
  /** Stop strings. The frontend checks them too; an engine may ignore them. */
  stop?: readonly string[];
  stopTokenIds?: readonly number[];
  /** Stop ids whose text the client sees. */
  visibleStopTokenIds?: readonly number[];
  /** The model's end-of-sequence ids, whose text the client never sees. */
  hiddenStopTokenIds?: readonly number[];
  ignoreEos?: boolean;
  maxThinkingTokens?: number;
}

/** How the next token is drawn. Floats arrive with float32 precision (spec llm 0.9). */
export interface SamplingOptions {
  n?: number;
  bestOf?: number;
  presencePenalty?: number;
  frequencyPenalty?: number;
  repetitionPenalty?: number;
  temperature?: number;
  topP?: number;
  topK?: number;
  minP?: number;
  useBeamSearch?: boolean;
  lengthPenalty?: number;
  seed?: number | bigint;
  includeStopStrInOutput?: boolean;
  /** Constraint on the output, passed on as the client sent it: `{ json | regex | choice | grammar, backend?, whitespace_pattern? }`. */
  guidedDecoding?: unknown;
}

/** What the answer should carry besides tokens. */
export interface OutputOptions {
  logprobs?: number;
  promptLogprobs?: number;
  skipSpecialTokens?: boolean;
  formattedPrompt?: boolean;
  returnTokensAsTokenIds?: boolean;
  /** Leaves matched stop strings and end tokens in the text of a completion. */
  noStopTrim?: boolean;
}

/** A tokenized request: what every engine answers (spec llm 2.1). */
export interface TokenRequest {
  model: string;
  tokenIds: readonly number[];
  stop?: StopConditions;
  sampling?: SamplingOptions;
  output?: OutputOptions;
  eosTokenIds?: readonly number[];
  /** Checksum of the model card that the frontend used (spec llm 1.5). */
  cardChecksum?: string;
  annotations?: readonly string[];
  /** Routing hints under their wire names, such as `backend_instance_id`. */
  routing?: Readonly<Record<string, unknown>>;
  /** Every other member of the wire request, under its wire name. */
  extra?: Readonly<Record<string, unknown>>;
}

/** Why a generation ended. */
export type FinishReason = 'stop' | 'eos' | 'length' | 'cancelled' | 'abort' | 'content_filter' | { readonly error: string };

/** Token counts as an engine reports them. */
export interface CompletionUsage {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  /** Passed on under its wire names. */
  promptTokensDetails?: unknown;
}

/** One candidate token at one position. */
export interface TopLogprob {
  rank: number;
  tokenId: number;
  token?: string | null;
  logprob: number;
  bytes?: readonly number[] | null;
}

/** One piece of an engine's answer. Only `tokenIds` is required; it may be empty (spec llm 2.2). */
export interface TokenChunk {
  tokenIds: readonly number[];
  /** The tokens' text, where the engine has it: the frontend then does not detokenize. */
  text?: string;
  finishReason?: FinishReason;
  /** The stop string or stop token id that ended the generation. */
  stopReason?: string | number;
  /** Which of `n` answers this belongs to; 0 when absent. */
  index?: number;
  logprobs?: readonly number[];
  cumulativeLogprob?: number;
  topLogprobs?: readonly (readonly TopLogprob[])[];
  usage?: CompletionUsage;
  /** Every other member of the wire chunk, under its wire name (such as `engine_data`). */
  extra?: Readonly<Record<string, unknown>>;
}
