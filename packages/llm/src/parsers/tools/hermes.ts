import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Hermes and Qwen 2.5: `<tool_call>{"name":…,"arguments":{…}}</tool_call>`. */
export const hermes: ToolParser = jsonFamily({ open: ['<tool_call>'], close: ['</tool_call>'] });
