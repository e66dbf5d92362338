import type { ChatRequest, ResponseFormat } from '../chat.ts';
import { publicFailure } from '../failure.ts';
import { checkChat, checkResponseFormat } from '../validate/chat-rules.ts';
import { messagesOf } from './messages.ts';
import type { ResponsesRequest } from './request.ts';
import { rewording } from '../rewording.ts';
import { type ChatTools, chatTools } from './tools.ts';

/** A Responses request as the chat that it stands for. */
export interface AskedChat {
  readonly chat: ChatRequest;
  /** The only functions that may be called, where the request names them. */
  readonly allowed: ChatTools['allowed'];
}

/**
 * Translates a Responses request into a chat request and checks it as one (spec llm 3.4), in the order of 1.6.1.
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function chatOf(request: ResponsesRequest): AskedChat {
  const messages = messagesOf(request.instructions, request.input);
  const format = responseFormat(request.text?.format);
  checkResponseFormat(format);
  const { tools, choice, allowed } = chatTools(request);
  if (messages.length === 0) throw publicFailure('invalid_argument', 'Messages array cannot be empty');
  const given = definedOf({
    temperature: request.temperature,
    top_p: request.top_p,
    max_completion_tokens: request.max_output_tokens,
    parallel_tool_calls: request.parallel_tool_calls,
    reasoning_effort: request.reasoning?.effort,
    response_format: format,
    tools,
    tool_choice: choice,
    metadata: request.metadata,
    store: request.store,
    service_tier: request.service_tier,
    nvext: request.nvext,
    chat_template_args: request.chat_template_args,
    thinking_token_budget: request.thinking_token_budget,
  });
  const chat: ChatRequest = { messages, model: request.model, ...given };
  rewording(() => checkChat(chat, []), { as: '' });
  // Behind the checks, since 1.6.1 takes any number of them and gives none.
  if (typeof request.top_logprobs === 'number') chat.top_logprobs = request.top_logprobs;
  if (request.stream === true) chat.stream = true;
  return { chat, allowed };
}

function responseFormat(format: NonNullable<ResponsesRequest['text']>['format']): ResponseFormat | undefined {
  if (format === undefined || format === null || format.type === 'text') return undefined;
  if (format.type === 'json_object') return { type: 'json_object' };
  const { name, schema, description, strict } = format;
  return { type: 'json_schema', json_schema: { name, schema, ...definedOf({ description, strict }) } };
}

/** Members that are there. */
function definedOf<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const made: { [K in keyof T]?: NonNullable<T[K]> } = {};
  for (const name of Object.keys(value) as (keyof T)[]) {
    const member = value[name];
    if (member !== undefined && member !== null) made[name] = member as NonNullable<T[keyof T]>;
  }
  return made;
}
