import { encodeJsonText, float } from '@dynamo/runtime/internal';
import type { FunctionTool, ResponsesRequest, ResponseTool } from '../../openai/responses/request.ts';
import type { WireUsage } from '../usage.ts';

/** How far a response has come. */
export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed';
  readonly output: readonly unknown[];
  readonly usage?: WireUsage | undefined;
  readonly error?: { readonly code: string; readonly message: string };
  readonly incomplete?: 'max_output_tokens' | 'content_filter';
}

/** What every body of one response shares. */
export interface ResponseFrame {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly asked: ResponsesRequest;
  /** Whether it is kept for later requests. */
  readonly stored: boolean;
}

/** The members of a response in the order of the real one's events (spec llm 3.4). */
export function responseMembers({ id, created, model, asked, stored }: ResponseFrame, state: ResponseState): Record<string, unknown> {
  return {
    background: false,
    billing: null,
    conversation: null,
    created_at: created,
    completed_at: state.status === 'completed' ? Math.floor(Date.now() / 1000) : null,
    error: state.error ?? null,
    id,
    incomplete_details: state.incomplete === undefined ? null : { reason: state.incomplete },
    instructions: asked.instructions ?? null,
    max_output_tokens: asked.max_output_tokens ?? null,
    max_tool_calls: null,
    metadata: asked.metadata ?? {},
    model,
    object: 'response',
    output: state.output,
    parallel_tool_calls: asked.parallel_tool_calls ?? true,
    previous_response_id: asked.previous_response_id ?? null,
    prompt: null,
    prompt_cache_key: asked.prompt_cache_key ?? null,
    prompt_cache_retention: asked.prompt_cache_retention ?? null,
    reasoning: (asked.reasoning ?? null) === null ? null : present(asked.reasoning ?? {}),
    safety_identifier: asked.safety_identifier ?? null,
    service_tier: asked.service_tier ?? 'auto',
    status: state.status,
    temperature: float(asked.temperature ?? 1),
    text: { format: { type: 'text' }, ...present(asked.text ?? {}) },
    tool_choice: asked.tool_choice ?? 'auto',
    tools: (asked.tools ?? []).map(shownTool),
    top_logprobs: 0,
    top_p: float(asked.top_p ?? 1),
    truncation: asked.truncation ?? 'disabled',
    usage: state.usage === undefined ? null : responseUsage(state.usage),
    presence_penalty: float(0),
    frequency_penalty: float(0),
    store: stored,
  };
}

/** What stands behind everything else in an answer that is sent whole. */
const tail = ['presence_penalty', 'frequency_penalty', 'store'] as const;

/** JSON of a response that is sent whole: what is null comes behind the rest there, and its floats are those of single precision. */
export function wholeResponse(frame: ResponseFrame, state: ResponseState, extension: string | undefined): string {
  const { temperature, top_p: topP } = frame.asked;
  const members = responseMembers(frame, state);
  members['temperature'] = float(Math.fround(temperature ?? 1));
  members['top_p'] = float(Math.fround(topP ?? 1));
  const ordered: Record<string, unknown> = {};
  for (const wanted of [true, false])
    for (const [name, value] of Object.entries(members)) if ((value !== null) === wanted && !tail.includes(name as 'store')) ordered[name] = value;
  for (const name of tail) ordered[name] = members[name];
  const text = encodeJsonText(ordered);
  return extension === undefined ? text : `${text.slice(0, -1)},"nvext":${extension}}`;
}

/** Members that are not null. */
const present = (value: object): Record<string, unknown> => Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));

/** A tool as the answer tells of it: functions are strict unless they say otherwise. */
function shownTool(tool: ResponseTool): unknown {
  if (tool.type === 'namespace') return { ...tool, tools: tool.tools.map(shownTool) };
  if (tool.type !== 'function') return tool;
  const { type, name, parameters, strict, description, defer_loading: deferred }: FunctionTool = tool;
  return {
    type,
    name,
    ...present({ parameters: parameters ?? null }),
    strict: strict ?? true,
    ...present({ description: description ?? null, defer_loading: deferred ?? null }),
  };
}

function responseUsage(usage: WireUsage): unknown {
  const { cached_tokens: cached } = (usage.prompt_tokens_details ?? {}) as { cached_tokens?: number };
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: { cached_tokens: cached ?? 0 },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0 },
    total_tokens: usage.total_tokens,
  };
}
