import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Llama 3: `<|python_tag|>{"name":…,"parameters":{…}}`, several parted by `;`. */
export const llama3: ToolParser = jsonFamily({ open: ['<|python_tag|>'], separator: ';' });
