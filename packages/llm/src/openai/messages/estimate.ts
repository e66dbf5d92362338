import { encodeJsonText } from '@dynamo/runtime/internal';
import { type Block, isBlock } from './blocks.ts';
import type { CountRequest } from './request.ts';
import { systemText } from './to-chat.ts';

/** How many bytes count as one token (found by asking 1.6.1). */
const bytesPerToken = 3;

/** What a picture counts for, whatever its size. */
const pictureBytes = 256;

/** A guess at how many tokens a request has, without a tokenizer: the bytes of its roles, texts, thoughts, calls and tools (spec llm 3.4). */
export function estimateTokens({ system, messages, tools }: CountRequest, model: { readonly stripPreamble: boolean }): number {
  let bytes = Buffer.byteLength(systemText(system, model) ?? '');
  for (const { role, content } of messages) {
    bytes += Buffer.byteLength(role);
    if (typeof content === 'string') bytes += Buffer.byteLength(content);
    else for (const block of content) bytes += bytesOf(block);
  }
  for (const { name, description, input_schema: schema } of tools ?? []) {
    bytes += Buffer.byteLength(name) + Buffer.byteLength(description ?? '');
    if (schema !== undefined && schema !== null) bytes += Buffer.byteLength(encodeJsonText(schema));
  }
  return Math.floor(bytes / bytesPerToken);
}

function bytesOf(block: Block): number {
  switch (block.type) {
    case 'text':
      return Buffer.byteLength(block.text);
    case 'thinking':
      return Buffer.byteLength(block.thinking);
    case 'redacted_thinking':
      return Buffer.byteLength(block.data);
    case 'image':
      return pictureBytes;
    case 'tool_use':
    case 'server_tool_use':
      return Buffer.byteLength(block.name) + Buffer.byteLength(encodeJsonText(block.input ?? {}));
    case 'tool_result': {
      const { content } = block;
      if (typeof content === 'string') return Buffer.byteLength(content);
      return (content ?? []).reduce((sum, part) => sum + (isBlock(part) ? bytesOf(part) : 0), 0);
    }
    default:
      return 0;
  }
}
