import { blockFamily } from './block-family.ts';
import { callsOf } from './json-calls.ts';
import type { ToolParser } from './parser.ts';

/** Inkling: `NAME<|content_invoke_tool_json|>{"name":…,"args":{…}}<|end_message|>`; the name before it is the message's header. */
export const inkling: ToolParser = blockFamily({
  open: ['<|content_invoke_tool_json|>'],
  close: ['<|end_message|>'],
  read: (block) => callsOf(block) ?? [],
});
