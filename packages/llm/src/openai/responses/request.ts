import { publicFailure } from '../failure.ts';
import type { ReasoningEffort } from '../chat.ts';
import { type NvExt, nvext } from '../nvext.ts';
import { type BodyType, bodyType, readBody } from '../validate/body.ts';
import { checkMaxTokens, checkRange, ranges } from '../validate/rules.ts';
import { map, struct } from '../validate/struct.ts';
import { tagged } from '../validate/tagged.ts';
import { any, boolean, f32, list, objectOnly, option, text, type Type, u32, u8, union, word } from '../validate/type.ts';
import { input, type InputItem } from './items.ts';

/** A function that the model may call, as the Responses API writes it down. */
export interface FunctionTool {
  type: 'function';
  name: string;
  description?: string | null;
  parameters?: unknown;
  strict?: boolean | null;
  defer_loading?: boolean | null;
}

/** Any tool: what is no function, or a namespace of functions, is refused with its own name. */
export type ResponseTool = FunctionTool | { type: 'namespace'; name: string; tools: readonly ResponseTool[] } | { type: 'custom' | 'mcp' };

/** Whether and what the model must call. */
export type ResponseToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { type: 'function'; name: string }
  | { type: 'allowed_tools'; mode: 'auto' | 'required'; tools: readonly unknown[] }
  | { type: 'custom' | 'mcp' };

/** How the answer's text must look. */
export type TextFormat =
  | { type: 'text' }
  | { type: 'json_object' }
  | { type: 'json_schema'; name: string; schema: unknown; description?: string | null; strict?: boolean | null };

/** A request for a response, with the members that 1.6.1 reads under their wire names (spec llm 3.4). */
export interface ResponsesRequest {
  model: string;
  input: string | readonly InputItem[];
  instructions?: string | null;
  stream?: boolean | null;
  store?: boolean | null;
  previous_response_id?: string | null;
  background?: boolean | null;
  max_output_tokens?: number | null;
  max_tool_calls?: number | null;
  temperature?: number | null;
  top_p?: number | null;
  top_logprobs?: number | null;
  parallel_tool_calls?: boolean | null;
  tools?: readonly ResponseTool[] | null;
  tool_choice?: ResponseToolChoice | null;
  text?: { format?: TextFormat | null; verbosity?: string | null } | null;
  reasoning?: { effort?: ReasoningEffort | null; summary?: string | null } | null;
  metadata?: Readonly<Record<string, string>> | null;
  service_tier?: string | null;
  truncation?: string | null;
  safety_identifier?: string | null;
  prompt_cache_key?: string | null;
  prompt_cache_retention?: string | null;
  prompt?: unknown;
  nvext?: NvExt | null;
  chat_template_args?: Readonly<Record<string, unknown>> | null;
  thinking_token_budget?: number | null;
}

const functionTool = struct('FunctionTool', {
  name: text,
  description: option(text),
  parameters: option(any),
  strict: option(boolean()),
  defer_loading: option(boolean()),
});
const toolTypes = (more: Readonly<Record<string, Type | null>>): Type =>
  tagged('Tool', 'type', {
    function: functionTool,
    file_search: null,
    computer_use_preview: null,
    web_search: null,
    web_search_2025_08_26: null,
    mcp: null,
    code_interpreter: null,
    programmatic_tool_calling: null,
    image_generation: null,
    local_shell: null,
    shell: null,
    custom: struct('CustomTool', { name: text, format: [any, 'required'] }),
    computer: null,
    ...more,
    tool_search: null,
    web_search_preview: null,
    web_search_preview_2025_03_11: null,
    apply_patch: null,
  });
const tool = toolTypes({
  namespace: struct('NamespaceTool', { name: text, description: option(text), tools: list(toolTypes({ namespace: null })) }),
});

const choice = (type: Type, table: Readonly<Record<string, Type>> = {}): Type => objectOnly(struct('ToolChoice', { type, ...table }));
const toolChoice = union(
  'ToolChoiceParam',
  word('none', 'auto', 'required'),
  choice(word('allowed_tools'), { mode: word('auto', 'required'), tools: list(any) }),
  choice(word('function'), { name: text }),
  choice(word('mcp'), { server_label: text, name: text }),
  choice(word('custom'), { name: text }),
  choice(word('file_search', 'web_search_preview', 'web_search_preview_2025_03_11', 'computer_use_preview', 'code_interpreter', 'image_generation')),
  choice(word('apply_patch', 'shell')),
);

const jsonSchema = struct('ResponseFormatJsonSchema', {
  description: option(text),
  name: text,
  schema: [any, 'required'],
  strict: option(boolean()),
});
const format = tagged('TextResponseFormatConfiguration', 'type', { text: null, json_object: null, json_schema: jsonSchema });

const included = [
  'file_search_call.results',
  'web_search_call.results',
  'web_search_call.action.sources',
  'message.input_image.image_url',
  'computer_call_output.output.image_url',
  'code_interpreter_call.outputs',
  'reasoning.encrypted_content',
  'message.output_text.logprobs',
] as const;

const members: BodyType = bodyType({
  name: 'NvCreateResponse',
  own: { nvext: option(nvext), chat_template_args: option(map(any)), thinking_token_budget: option(u32) },
  ownAliases: { chat_template_kwargs: 'chat_template_args' },
  common: {},
  openai: {
    background: option(boolean()),
    conversation: option(any),
    include: option(list(word(...included))),
    input: [input, 'required'],
    instructions: option(text),
    max_output_tokens: option(u32),
    max_tokens: option(u32),
    max_tool_calls: option(u32),
    metadata: option(map(text)),
    model: option(text),
    parallel_tool_calls: option(boolean()),
    previous_response_id: option(text),
    prompt: option(any),
    prompt_cache_key: option(text),
    prompt_cache_retention: option(word('in_memory', '24h')),
    reasoning: option(
      struct('Reasoning', {
        effort: option(word('none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max')),
        summary: option(word('auto', 'concise', 'detailed')),
      }),
    ),
    safety_identifier: option(text),
    service_tier: option(word('auto', 'default', 'flex', 'scale', 'priority', 'fast', 'ultrafast')),
    store: option(boolean()),
    stream: option(boolean()),
    stream_options: option(any),
    temperature: option(f32),
    text: option(struct('ResponseTextParam', { format: option(format), verbosity: option(word('low', 'medium', 'high')) })),
    tool_choice: option(toolChoice),
    tools: option(list(tool)),
    top_logprobs: option(u8),
    top_p: option(f32),
    truncation: option(word('auto', 'disabled')),
  },
});
/** The same where only its length is asked for: nothing is required. */
const counted: BodyType = { ...members, openai: optionalInput(members.openai), all: optionalInput(members.all) };

function optionalInput(shape: BodyType['all']): BodyType['all'] {
  return { ...shape, fields: new Map([...shape.fields, ['input', { type: input, presence: 'default' }]]) };
}

/**
 * Reads the body of `POST /v1/responses` and checks what needs no model, in the order of 1.6.1.
 *
 * `stored` says whether answers are kept here: without that an answer can't be gone on from, as in 1.6.1.
 *
 * @throws DynamoError with a public message: `invalid_argument`, or `not_implemented` for what is not supported.
 */
export function parseResponsesRequest(body: string, { stored }: { stored: boolean }): ResponsesRequest {
  const request = read(body, members);
  checkSupported(request, stored);
  checkRange(request.temperature, ranges.temperature);
  checkRange(request.top_p, ranges.topP);
  checkMaxTokens(request.max_output_tokens, 'Max tokens');
  return request;
}

/** Reads the body of `POST /v1/responses/input_tokens`, which may lack everything. */
export const parseCountRequest = (body: string): ResponsesRequest => read(body, counted);

function read(body: string, type: BodyType): ResponsesRequest {
  const { max_tokens: maxTokens, ...value } = readBody(body, type).value;
  const request = { ...value, model: value['model'] ?? '', input: value['input'] ?? [] } as ResponsesRequest;
  if (typeof maxTokens === 'number') request.max_output_tokens ??= maxTokens;
  return request;
}

function checkSupported(request: ResponsesRequest, stored: boolean): void {
  if (request.nvext?.extra_fields?.includes('completion_token_ids') === true)
    throw unsupported('`nvext.extra_fields=["completion_token_ids"]` is not supported by the Responses API.');
  if (request.background === true) throw unsupported('`background: true` is not supported.');
  if (!stored && (request.previous_response_id ?? null) !== null) throw unsupported('`previous_response_id` is not supported.');
  if ((request.prompt ?? null) !== null) throw unsupported('`prompt` is not supported.');
  if ((request.max_tool_calls ?? null) !== null) throw unsupported('`max_tool_calls` is not supported.');
}

const unsupported = (message: string): Error => publicFailure('not_implemented', `Validation: ${message}`);
