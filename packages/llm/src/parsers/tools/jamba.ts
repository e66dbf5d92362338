import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Jamba: `<tool_calls>[{"name":…,"arguments":{…}}]</tool_calls>`. */
export const jamba: ToolParser = jsonFamily({ open: ['<tool_calls>'], close: ['</tool_calls>'] });
