import type { FieldTable } from './validate/struct.ts';
import { struct } from './validate/struct.ts';
import { type Type, any, boolean, f32, i32, list, option, text, u32, union } from './validate/type.ts';

/** Members that chat and completion requests have beyond OpenAI's, under their wire names (spec llm 2.1). */
export interface CommonRequest {
  ignore_eos?: boolean | null;
  min_tokens?: number | null;
  repetition_penalty?: number | null;
  include_stop_str_in_output?: boolean | null;
  top_k?: number | null;
  min_p?: number | null;
  /** Numbers that were written as floats are `Float`. */
  guided_json?: unknown;
  guided_regex?: string | null;
  guided_grammar?: string | null;
  guided_choice?: readonly string[] | null;
  guided_decoding_backend?: string | null;
  guided_whitespace_pattern?: string | null;
  skip_special_tokens?: boolean | null;
  prompt_logprobs?: number | null;
  add_generation_prompt?: boolean | null;
  continue_final_message?: boolean | null;
  return_tokens_as_token_ids?: boolean | null;
  /** Taken without a type of their own; the rules check them. */
  cache_salt?: string | null;
  stop_token_ids?: readonly number[] | null;
  detokenize?: boolean | null;
  allowed_token_ids?: readonly number[] | null;
  bad_words_token_ids?: readonly (readonly number[])[] | null;
}

/** Their types. */
export const commonFields: FieldTable = {
  ignore_eos: option(boolean()),
  min_tokens: option(u32),
  repetition_penalty: option(f32),
  include_stop_str_in_output: option(boolean()),
  top_k: option(i32),
  min_p: option(f32),
  guided_json: option(any),
  guided_regex: option(text),
  guided_grammar: option(text),
  guided_choice: option(list(text)),
  guided_decoding_backend: option(text),
  guided_whitespace_pattern: option(text),
  skip_special_tokens: option(boolean()),
  prompt_logprobs: option(u32),
  add_generation_prompt: option(boolean()),
  continue_final_message: option(boolean()),
};

/** Asks for usage figures in a stream. */
export interface StreamOptions {
  include_usage?: boolean | null;
  continuous_usage_stats?: boolean | null;
}

/** Types of members that both of OpenAI's requests have. */
export const streamOptions: Type = option(
  struct('ChatCompletionStreamOptions', { include_usage: [option(boolean()), 'default'], continuous_usage_stats: [option(boolean()), 'default'] }),
);
export const stop: Type = option(union('Stop', text, list(text), list(u32)));
