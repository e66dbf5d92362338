import { encodeJsonText } from '@dynamo/runtime/internal';
import type { ChatMessage } from '../message.ts';
import { messagesOf } from './messages.ts';
import type { ResponsesRequest } from './request.ts';

/** How many bytes count as one token (found by asking 1.6.1). */
const bytesPerToken = 3;

/** A guess at how many tokens a request has, without a tokenizer: the bytes of its roles, texts, calls and tools (spec llm 3.4). */
export function estimateTokens({ instructions, input, tools }: ResponsesRequest): number {
  let bytes = 0;
  const add = (text: string): void => void (bytes += Buffer.byteLength(text));
  for (const message of messagesOf(instructions, input === '' ? [] : input)) {
    add(message.role);
    for (const text of textsOf(message)) add(text);
  }
  for (const tool of tools ?? []) {
    if (tool.type !== 'function') continue;
    add(tool.name);
    if (typeof tool.description === 'string') add(tool.description);
    if (tool.parameters !== undefined && tool.parameters !== null) add(encodeJsonText(tool.parameters));
  }
  return Math.floor(bytes / bytesPerToken);
}

function* textsOf(message: ChatMessage): Generator<string> {
  const content = message.content ?? '';
  if (typeof content === 'string') yield content;
  else for (const part of content) if (part.type === 'text') yield part.text;
  if (message.role !== 'assistant') return;
  const thoughts = message.reasoning_content ?? [];
  yield* typeof thoughts === 'string' ? [thoughts] : thoughts;
  for (const call of message.tool_calls ?? []) {
    yield call.function.name;
    yield String(call.function.arguments);
  }
}
