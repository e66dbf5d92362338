import { encodeJsonText } from '@dynamo/runtime/internal';
import type { ChatRequest } from '../chat.ts';
import { publicFailure } from '../failure.ts';
import type { AssistantMessage, ChatMessage, ChatTool, MediaPart, TextPart, ToolCall, ToolChoice } from '../message.ts';
import { type NvExt, nvext } from '../nvext.ts';
import { rewording } from '../rewording.ts';
import { isMap } from '../spelling.ts';
import { checkChat } from '../validate/chat-rules.ts';
import { type Block, type ImageBlock, isBlock, type ResultBlock } from './blocks.ts';
import type { AskedMessage, MessagesRequest, MessagesTool } from './request.ts';

/** What the translation needs to know beside the request. */
export interface MessagesModel {
  /** Whether the model's card names a reasoning parser: such models think unless they are told not to. */
  readonly reasons: boolean;
  /** Whether the line that coding assistants put before their system prompt is taken out. */
  readonly stripPreamble: boolean;
}

/**
 * Translates a request of the Messages API into a chat request and checks it as one (spec llm 3.4), in the order of 1.6.1.
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function chatOf(request: MessagesRequest, model: MessagesModel): ChatRequest {
  const messages = messagesOf(request, model);
  const extension = extensionOf(request.nvext);
  const format = formatOf(request.output_config);
  if (messages.length === 0) throw publicFailure('invalid_argument', 'Messages array cannot be empty');
  const chat: ChatRequest = { model: request.model, messages, max_completion_tokens: request.max_tokens, nvext: extension };
  const args = templateArgs(request.thinking, model);
  const tools = (request.tools ?? []).map(chatTool);
  if (args !== undefined) chat.settled_variables = args;
  if (format !== undefined) chat.response_format = format;
  if (typeof request.temperature === 'number') chat.temperature = request.temperature;
  if (typeof request.top_p === 'number') chat.top_p = request.top_p;
  if (typeof request.top_k === 'number') chat.top_k = request.top_k;
  if ((request.stop_sequences ?? []).length > 0) chat.stop = request.stop_sequences as readonly string[];
  if (tools.length > 0) chat.tools = tools;
  const choice = choiceOf(request.tool_choice);
  if (choice !== undefined) chat.tool_choice = choice;
  if (request.tool_choice?.disable_parallel_tool_use === true) chat.parallel_tool_calls = false;
  rewording(() => checkChat(chat, []), { as: '' });
  // Every piece of the answer tells how much has been used.
  chat.stream_options = { include_usage: true, continuous_usage_stats: true };
  if (request.stream === true) chat.stream = true;
  return chat;
}

/** The messages of a chat: results of tools are messages of their own, and so is what stands before and behind them. */
function messagesOf({ system, messages }: Pick<MessagesRequest, 'system' | 'messages'>, model: Pick<MessagesModel, 'stripPreamble'>): ChatMessage[] {
  const before = systemText(system, model);
  return [...(before === undefined ? [] : [{ role: 'system' as const, content: before }]), ...messages.flatMap(messagesFrom)];
}

/** The system prompt as one text. */
export function systemText(system: MessagesRequest['system'], { stripPreamble }: Pick<MessagesModel, 'stripPreamble'>): string | undefined {
  if (system === undefined || system === null) return undefined;
  const text = typeof system === 'string' ? system : system.map((block) => block.text).join('\n');
  const trimmed = text.trimStart();
  if (!stripPreamble || !trimmed.startsWith('x-anthropic-billing-header:')) return text;
  const end = trimmed.indexOf('\n');
  return end === -1 ? text : trimmed.slice(end + 1);
}

function messagesFrom({ role, content }: AskedMessage): ChatMessage[] {
  if (typeof content === 'string') return [role === 'user' ? { role, content } : role === 'system' ? { role, content } : { role, content }];
  if (role === 'assistant') return [turnOf(content)];
  if (role === 'system') return [{ role, content: textsOf(content).join('\n') }];
  const messages: ChatMessage[] = [];
  let parts: (TextPart | MediaPart)[] = [];
  const settle = (): void => {
    if (parts.length > 0) messages.push({ role: 'user', content: joined(parts) });
    parts = [];
  };
  for (const block of content) {
    if (block.type === 'text') parts.push({ type: 'text', text: block.text });
    else if (block.type === 'image') parts.push(picture(block));
    else if (block.type === 'tool_result') {
      settle();
      messages.push({ role: 'tool', content: resultOf(block), tool_call_id: block.tool_use_id });
    }
  }
  settle();
  return messages;
}

/** What a model said in one turn: its thoughts stand before the call that they led to, the last ones behind all calls. */
function turnOf(blocks: readonly Block[]): AssistantMessage {
  const calls: ToolCall[] = [];
  const thoughts: string[][] = [[]];
  for (const block of blocks) {
    if (block.type === 'thinking') (thoughts.at(-1) as string[]).push(block.thinking);
    else if (block.type === 'tool_use' || block.type === 'server_tool_use') {
      calls.push({ id: block.id, type: 'function', function: { name: block.name, arguments: encodeJsonText(block.input ?? {}) } });
      thoughts.push([]);
    }
  }
  const text = textsOf(blocks).join('');
  const thought = thoughts.map((segment) => segment.join('\n'));
  return {
    role: 'assistant',
    ...(text === '' && calls.length > 0 ? {} : { content: text }),
    ...(thought.every((segment) => segment === '') ? {} : { reasoning_content: calls.length === 0 ? thought.join('') : thought }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  };
}

const textsOf = (blocks: readonly Block[]): string[] => blocks.flatMap((block) => (block.type === 'text' ? [block.text] : []));

const picture = ({ source }: ImageBlock): MediaPart => ({ type: 'image_url', image_url: { url: `data:${source.media_type};base64,${source.data}` } });

/** Texts alone become one. */
const joined = (parts: readonly (TextPart | MediaPart)[]): string | (TextPart | MediaPart)[] =>
  parts.every((part) => part.type === 'text') ? parts.map((part) => part.text).join('') : [...parts];

function resultOf({ content }: ResultBlock): string | (TextPart | MediaPart)[] {
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  return joined(
    content.map((block) => {
      if (isBlock(block) && block.type === 'text') return { type: 'text', text: block.text };
      if (isBlock(block) && block.type === 'image') return picture(block);
      throw unconverted('unsupported Anthropic tool_result content block; only text and image are supported');
    }),
  );
}

const chatTool = ({ name, description, input_schema: parameters, strict }: MessagesTool): ChatTool => ({
  type: 'function',
  function: {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    parameters: parameters as Readonly<Record<string, unknown>>,
    ...(typeof strict === 'boolean' ? { strict } : {}),
  },
});

function choiceOf(choice: MessagesRequest['tool_choice']): ToolChoice | undefined {
  if (choice === undefined || choice === null) return undefined;
  if (choice.type === 'auto' || choice.type === 'none') return choice.type;
  return choice.type === 'tool' && typeof choice.name === 'string' ? { type: 'function', function: { name: choice.name } } : 'required';
}

/** Models with a reasoning parser think, and see earlier thoughts, unless the request says no; others think when it says yes. */
function templateArgs(thinking: MessagesRequest['thinking'], { reasons }: MessagesModel): Readonly<Record<string, boolean>> | undefined {
  const asked = thinking?.type;
  if (asked === 'disabled' || (!reasons && asked !== 'enabled')) return undefined;
  return { enable_thinking: true, thinking: true, ...(reasons ? { truncate_history_thinking: false } : {}) };
}

function formatOf(config: unknown): ChatRequest['response_format'] {
  const format = isMap(config) ? (config as { format?: unknown }).format : undefined;
  if (format === undefined || format === null) return undefined;
  const { type, schema } = (isMap(format) ? format : {}) as { type?: unknown; schema?: unknown };
  if (type !== 'json_schema') throw unconverted('output_config.format.type must be json_schema');
  if (!isMap(schema)) throw unconverted('output_config.format.schema must be an object');
  return { type: 'json_schema', json_schema: { name: 'response', schema } };
}

/** The request's own extension; which stop sequence ended the answer has to be told here. */
function extensionOf(given: unknown): NvExt {
  const own = given ?? {};
  const mismatch = nvext.mismatch(own, 'exact');
  if (mismatch !== undefined) throw unconverted(`invalid nvext: ${mismatch}`);
  const { extra_fields: fields, ...rest } = nvext.usual(own) as NvExt;
  return { ...rest, extra_fields: [...new Set([...(fields ?? []), 'stop_reason'])] };
}

const unconverted = (message: string): Error => publicFailure('invalid_argument', `Failed to convert request: ${message}`);
