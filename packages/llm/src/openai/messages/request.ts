import { publicFailure } from '../failure.ts';
import { isMap } from '../spelling.ts';
import { readMembersOf } from '../validate/read-struct.ts';
import { type FieldTable, struct } from '../validate/struct.ts';
import { any, boolean, f32, list, objectOnly, option, text, type Type, u32, union, word } from '../validate/type.ts';
import { type Block, content, isKnown } from './blocks.ts';

/** A tool as the Messages API writes it down: the client's own unless its type says otherwise. */
export interface MessagesTool {
  name: string;
  type?: string | null;
  description?: string | null;
  input_schema?: unknown;
  strict?: boolean | null;
}

/** What one side said. */
export interface AskedMessage {
  role: 'user' | 'assistant' | 'system';
  content: string | readonly Block[];
}

/** A request for a message, with the members that 1.6.1 reads under their wire names (spec llm 3.4). */
export interface MessagesRequest {
  model: string;
  max_tokens: number;
  messages: readonly AskedMessage[];
  system?: string | readonly { text: string }[] | null;
  stream?: boolean;
  temperature?: number | null;
  top_p?: number | null;
  top_k?: number | null;
  stop_sequences?: readonly string[] | null;
  tools?: readonly MessagesTool[] | null;
  tool_choice?: { type: 'auto' | 'any' | 'none' | 'tool'; name?: string | null; disable_parallel_tool_use?: boolean | null } | null;
  thinking?: { type: string; budget_tokens?: number | null } | null;
  output_config?: unknown;
  nvext?: unknown;
}

/** What is counted of a request. */
export type CountRequest = Pick<MessagesRequest, 'messages' | 'system' | 'tools'>;

/** The content is looked at when the whole message has been read, and its faults are the message's. */
const message = struct(
  'AnthropicMessage',
  { role: word('user', 'assistant', 'system'), content: [any, 'default'] },
  { complete: (members) => content.mismatch(members['content'], 'exact') },
);
const systemBlock = objectOnly(struct('SystemBlock', { type: word('text'), text }));
const tool = struct('AnthropicTool', {
  name: text,
  type: option(text),
  description: option(text),
  input_schema: [any, 'default'],
  strict: option(boolean()),
});
const choice = objectOnly(
  struct('ToolChoice', { type: word('auto', 'any', 'none', 'tool'), name: option(text), disable_parallel_tool_use: option(boolean()) }),
);
const common: FieldTable = {
  messages: list(message),
  system: [option(union('SystemPrompt', text, list(systemBlock))), 'default'],
};
const tools = option(list(tool));
const thinking = option(struct('ThinkingConfig', { type: text, budget_tokens: option(u32) }));

const body: Type = struct('AnthropicCreateMessageRequest', {
  model: text,
  max_tokens: u32,
  ...common,
  stream: [boolean(), 'default'],
  temperature: option(f32),
  top_p: option(f32),
  top_k: option(u32),
  stop_sequences: option(list(text)),
  tools,
  tool_choice: option(union('AnthropicToolChoice', choice)),
  thinking,
  output_config: [any, 'default'],
  nvext: [any, 'default'],
  metadata: [any, 'default'],
  service_tier: [any, 'default'],
  container: [any, 'default'],
  context_management: [any, 'default'],
});
const counted: Type = struct('AnthropicCountTokensRequest', { model: text, ...common, tools });

/**
 * Reads the body of `POST /v1/messages` and checks what needs no model, in the order of 1.6.1.
 *
 * @throws DynamoError `invalid_argument` with a public message; one for a text that is no JSON is sent as plain text.
 */
export function parseMessagesRequest(given: string): MessagesRequest {
  const request = read(given, body) as unknown as MessagesRequest;
  checkMessages(request.messages);
  for (const [index, asked] of (request.tools ?? []).entries()) checkTool(asked, index);
  if (request.max_tokens === 0) throw refused('max_tokens: must be greater than 0');
  return request;
}

/** Reads the body of `POST /v1/messages/count_tokens`. */
export function parseCountRequest(given: string): CountRequest {
  const request = read(given, counted) as unknown as CountRequest;
  checkMessages(request.messages);
  return request;
}

function read(given: string, type: Type): Record<string, unknown> {
  const found = readMembersOf(given, type);
  if (!('kind' in found)) return found.value;
  const begins = found.kind === 'syntax' ? 'Failed to parse the request body as JSON' : 'Failed to deserialize the JSON body into the target type';
  throw publicFailure('invalid_argument', `${begins}: ${found.message}`, { plain: found.kind === 'syntax' });
}

function checkMessages(messages: readonly AskedMessage[]): void {
  if (messages.length === 0) throw refused('messages: field required');
  for (const [index, { content: said }] of messages.entries()) {
    if (typeof said === 'string') continue;
    const path = `messages[${index}].content`;
    if (said.length === 0) throw refused(`${path}: must contain at least one content block`);
    for (const [at, block] of said.entries()) checkBlock(block, `${path}[${at}]`);
  }
}

function checkBlock(block: unknown, path: string): void {
  if (!isMap(block)) throw refused(`${path}: content blocks must be objects`);
  const { type } = block as { type?: unknown };
  if (typeof type !== 'string' || type === '') throw refused(`${path}.type: must be a non-empty string`);
  if (!isKnown(type)) throw refused(`${path}: content block type ${JSON.stringify(type)} is not supported`);
}

function checkTool({ type, input_schema: schema }: MessagesTool, index: number): void {
  const kind = type ?? 'custom';
  if (kind !== 'custom') throw refused(`tools[${index}]: server tool type ${JSON.stringify(kind)} is not supported`);
  if (schema === undefined || schema === null) throw refused(`tools[${index}].input_schema: field required for client tools`);
}

const refused = (message: string): Error => publicFailure('invalid_argument', message);
