import { isMap } from '../spelling.ts';
import { struct } from '../validate/struct.ts';
import { any, boolean, list, option, text, type Type, union, word } from '../validate/type.ts';

/** A text. */
export interface TextBlock {
  type: 'text';
  text: string;
}

/** A picture, in the request itself. */
export interface ImageBlock {
  type: 'image';
  source: { type: 'base64'; media_type: string; data: string };
}

/** What a tool answered. */
export interface ResultBlock {
  type: 'tool_result';
  tool_use_id: string;
  content?: string | readonly Block[] | null;
  is_error?: boolean | null;
}

/** A call that the model made, of a tool of the client or of the server. */
export interface UseBlock {
  type: 'tool_use' | 'server_tool_use';
  id: string;
  name: string;
  input?: unknown;
}

/** One part of a message of the Messages API; a type that 1.6.1 does not know is refused by its name. */
export type Block =
  | TextBlock
  | ImageBlock
  | ResultBlock
  | UseBlock
  | { type: 'thinking'; thinking: string; signature: string }
  | { type: 'redacted_thinking'; data: string }
  | { type: 'web_search_tool_result'; tool_use_id: string; content: unknown };

const source = struct('ImageSource', { type: word('base64'), media_type: text, data: text });
const use = struct('ToolUse', { id: text, name: text, input: [any, 'default'] });

/** What is known of each type; the parts of a result are looked at when they are needed. */
const known: Readonly<Record<string, Type>> = {
  text: struct('Text', { text }),
  image: struct('Image', { source }),
  tool_use: use,
  tool_result: struct('ToolResult', { tool_use_id: text, content: option(union('Content', text, list(any))), is_error: option(boolean()) }),
  thinking: struct('Thinking', { thinking: text, signature: text }),
  redacted_thinking: struct('RedactedThinking', { data: text }),
  server_tool_use: use,
  web_search_tool_result: struct('WebSearchToolResult', { tool_use_id: text, content: [any, 'required'] }),
};

/** The types that can be read. */
export const isKnown = (type: string): boolean => Object.hasOwn(known, type);

/** Whether a value is a block of a type that can be read, in the form that it has to have. */
export const isBlock = (value: unknown): value is Block => {
  const type = isMap(value) ? (value as { type?: unknown }).type : undefined;
  return typeof type === 'string' && isKnown(type) && (known[type] as Type).mismatch(value, 'exact') === undefined;
};

/** Any value, as long as one that says that it is of a known type is of its form. */
const anyBlock: Type = {
  mismatch(value) {
    const type = isMap(value) ? (value as { type?: unknown }).type : undefined;
    return typeof type === 'string' && isKnown(type) ? (known[type] as Type).mismatch(value, 'exact') : undefined;
  },
  usual: (value) => value,
};

/** What somebody says: a text, or blocks. */
export const content: Type = union('AnthropicMessageContent', text, list(anyBlock));
