import { type CommonRequest, type StreamOptions, commonFields, stop, streamOptions } from './common-fields.ts';
import { type NvExt, nvext } from './nvext.ts';
import { type BodyType, bodyType, readBody } from './validate/body.ts';
import { checkCompletion } from './validate/completion-rules.ts';
import { map } from './validate/struct.ts';
import { any, boolean, f32, i64, list, option, text, u32, u8, union } from './validate/type.ts';

/** What a completion starts from: text or token ids, one or several. */
export type Prompt = string | readonly string[] | readonly number[] | readonly (readonly number[])[];

/** A request for a completion, with all members that 1.6.1 takes under their wire names (spec llm 2.1 and 3.2). */
export interface CompletionRequest extends CommonRequest {
  model: string;
  prompt: Prompt;
  /** A tensor of embeddings in base64; the prompt is then not used. */
  prompt_embeds?: string | null;
  suffix?: string | null;
  max_tokens?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  n?: number | null;
  stream?: boolean | null;
  stream_options?: StreamOptions | null;
  logprobs?: number | null;
  echo?: boolean | null;
  stop?: string | readonly string[] | readonly number[] | null;
  presence_penalty?: number | null;
  frequency_penalty?: number | null;
  best_of?: number | null;
  logit_bias?: Readonly<Record<string, unknown>> | null;
  user?: string | null;
  seed?: number | bigint | null;
  nvext?: NvExt | null;
  metadata?: unknown;
  no_stop_trim?: boolean | null;
}

const body: BodyType = bodyType({
  name: 'NvCreateCompletionRequest',
  own: { nvext: option(nvext), metadata: option(any), no_stop_trim: option(boolean()), return_tokens_as_token_ids: option(boolean()) },
  common: commonFields,
  openai: {
    model: text,
    prompt: union('Prompt', text, list(text), list(u32), list(list(u32))),
    prompt_embeds: option(text),
    suffix: option(text),
    max_tokens: option(u32),
    temperature: option(f32),
    top_p: option(f32),
    n: option(u8),
    stream: option(boolean()),
    stream_options: streamOptions,
    logprobs: option(u8),
    echo: option(boolean('echo parameter to be a boolean (true or false) or null')),
    stop,
    presence_penalty: option(f32),
    frequency_penalty: option(f32),
    best_of: option(u8),
    logit_bias: option(map(any)),
    user: option(text),
    seed: option(i64),
  },
});

/** Members that are float32. */
export const completionFloats: ReadonlySet<string> = body.floats;

/**
 * Reads the body of a completion request and checks everything that can be checked without a model (spec llm 3.2, steps
 * 3 and 4).
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function parseCompletionRequest(text: string): CompletionRequest {
  const { value, others } = readBody(text, body);
  const request = value as unknown as CompletionRequest;
  checkCompletion(request, others);
  return request;
}

/**
 * The prompts of a request, each of which becomes an engine request of its own; choice `i` of prompt `p` has the index
 * `p * n + i` (spec llm 2.1).
 *
 * `nvext.token_data` stands in for every text (observed in 1.6.1), and embeddings leave no tokens.
 */
export function promptsOf(request: CompletionRequest): readonly (string | readonly number[])[] {
  const prompts = listedPrompts(request.prompt);
  const given = request.nvext?.token_data ?? (typeof request.prompt_embeds === 'string' ? [] : undefined);
  return given === undefined ? prompts : prompts.map((prompt) => (typeof prompt === 'string' || given.length === 0 ? given : prompt));
}

/** The prompts as they were sent, one by one. */
export function listedPrompts(prompt: Prompt): readonly (string | readonly number[])[] {
  if (typeof prompt === 'string') return [prompt];
  return typeof prompt[0] === 'number' ? [prompt as readonly number[]] : (prompt as readonly (string | readonly number[])[]);
}
