import { chatMessage } from './message-fields.ts';
import type { ChatMessage, ChatTool, ToolChoice } from './message.ts';
import { type CommonRequest, type StreamOptions, commonFields, stop, streamOptions } from './common-fields.ts';
import { type NvExt, nvext } from './nvext.ts';
import { type BodyType, bodyType, readBody } from './validate/body.ts';
import { checkChat } from './validate/chat-rules.ts';
import { map, struct } from './validate/struct.ts';
import { adjacent, tagged } from './validate/tagged.ts';
import { any, boolean, f32, i64, list, objectOnly, option, text, u32, u8, union, word } from './validate/type.ts';

/** How the answer must look. */
export type ResponseFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; json_schema: { name: string; schema: unknown; description?: string | null; strict?: boolean | null } };

/** How much a model should think. */
export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max';

/** A request for a chat completion, with all members that 1.6.1 takes under their wire names (spec llm 2.1 and 3.2). */
export interface ChatRequest extends CommonRequest {
  messages: readonly ChatMessage[];
  model: string;
  frequency_penalty?: number | null;
  presence_penalty?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  logit_bias?: Readonly<Record<string, unknown>> | null;
  logprobs?: boolean | null;
  top_logprobs?: number | null;
  max_tokens?: number | null;
  max_completion_tokens?: number | null;
  n?: number | null;
  seed?: number | bigint | null;
  stop?: string | readonly string[] | readonly number[] | null;
  stream?: boolean | null;
  stream_options?: StreamOptions | null;
  response_format?: ResponseFormat | null;
  tools?: readonly ChatTool[] | null;
  tool_choice?: ToolChoice | null;
  parallel_tool_calls?: boolean | null;
  reasoning_effort?: ReasoningEffort | null;
  user?: string | null;
  nvext?: NvExt | null;
  /** Variables for the template; `chat_template_kwargs` is taken as another name. */
  chat_template_args?: Readonly<Record<string, unknown>> | null;
  thinking?: unknown;
  /** Never read from a body: set by doors whose requests have words of their own for it. */
  settled_variables?: Readonly<Record<string, unknown>>;
  thinking_token_budget?: number | null;
  media_io_kwargs?: unknown;
  mm_processor_kwargs?: unknown;
  /** Members that are checked and then have no effect. */
  metadata?: unknown;
  store?: boolean | null;
  service_tier?: string | null;
  modalities?: readonly ('text' | 'audio')[] | null;
  prediction?: unknown;
  audio?: unknown;
  web_search_options?: unknown;
  prompt_cache_key?: string | null;
  /** Refused with 501. */
  function_call?: unknown;
  functions?: unknown;
}

const functionType = word('function');
const namedChoice = struct('ChatCompletionNamedToolChoice', { type: functionType, function: struct('FunctionName', { name: text }) });
const tool = struct('ChatCompletionTool', {
  type: functionType,
  function: struct('FunctionObject', { name: text, description: option(text), parameters: option(any), strict: option(boolean()) }),
});
const jsonSchema = struct('ResponseFormatJsonSchema', {
  description: option(text),
  name: text,
  schema: [any, 'required'],
  strict: option(boolean()),
});
const location = struct('WebSearchLocation', { country: option(text), region: option(text), city: option(text), timezone: option(text) });

const body: BodyType = bodyType({
  name: 'NvCreateChatCompletionRequest',
  own: {
    nvext: option(nvext),
    chat_template_args: option(map(any)),
    thinking: option(any),
    thinking_token_budget: option(u32),
    media_io_kwargs: option(any),
    return_tokens_as_token_ids: option(boolean()),
  },
  ownAliases: { chat_template_kwargs: 'chat_template_args' },
  common: commonFields,
  openai: {
    messages: list(chatMessage),
    model: text,
    prompt_cache_key: option(text),
    mm_processor_kwargs: option(any),
    store: option(boolean()),
    reasoning_effort: option(word('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
    metadata: option(any),
    frequency_penalty: option(f32),
    logit_bias: option(map(any)),
    logprobs: option(boolean()),
    top_logprobs: option(u8),
    max_tokens: option(u32),
    max_completion_tokens: option(u32),
    n: option(u8),
    modalities: option(list(word('text', 'audio'))),
    prediction: option(
      adjacent('PredictionContent', { type: word('content'), content: union('PredictionContentContent', text, list(struct('TextPart', { text }))) }),
    ),
    audio: option(
      struct('ChatCompletionAudio', { voice: union('ChatCompletionAudioVoice', text), format: word('wav', 'aac', 'mp3', 'flac', 'opus', 'pcm16') }),
    ),
    presence_penalty: option(f32),
    response_format: option(
      tagged('ResponseFormat', 'type', {
        text: null,
        json_object: null,
        json_schema: struct('JsonSchema', { json_schema: jsonSchema }, { called: 'struct variant ResponseFormat::JsonSchema' }),
      }),
    ),
    seed: option(i64),
    service_tier: option(word('auto', 'default', 'flex', 'scale', 'priority', 'fast')),
    stop,
    stream: option(boolean()),
    stream_options: streamOptions,
    temperature: option(f32),
    top_p: option(f32),
    tools: option(list(tool)),
    tool_choice: option(union('ChatCompletionToolChoiceOption', word('none', 'auto', 'required'), namedChoice)),
    parallel_tool_calls: option(boolean()),
    user: option(text),
    function_call: option(union('ChatCompletionFunctionCall', word('none', 'auto'), objectOnly(struct('Function', { name: text })))),
    functions: option(list(struct('ChatCompletionFunctions', { name: text, description: option(text), parameters: [any, 'required'] }))),
    web_search_options: option(
      struct('WebSearchOptions', {
        search_context_size: option(word('low', 'medium', 'high')),
        user_location: option(struct('WebSearchUserLocation', { type: word('approximate'), approximate: location })),
      }),
    ),
  },
});

/** Members that are float32. */
export const chatFloats: ReadonlySet<string> = body.floats;

/**
 * Reads the body of a chat request and checks everything that can be checked without a model (spec llm 3.2, steps 3 and 4).
 *
 * Whole numbers that were written as floats stay `Float` inside `messages`, `tools`, schemas and template arguments;
 * integers beyond 2^53 are bigint.
 *
 * @throws DynamoError with a public message: `invalid_argument`, or `not_implemented` for `functions` and `function_call`.
 */
export function parseChatRequest(text: string): ChatRequest {
  const { value, others } = readBody(text, body);
  const request = value as unknown as ChatRequest;
  checkChat(request, others);
  return request;
}
