import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Mistral: `[TOOL_CALLS][{"name":…,"arguments":{…}}]`. */
export const mistral: ToolParser = jsonFamily({ open: ['[TOOL_CALLS]'], close: ['[/TOOL_CALLS]'] });
