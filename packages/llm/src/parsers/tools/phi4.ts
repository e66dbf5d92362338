import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Phi 4: `functools[{"name":…,"arguments":{…}}]`; the word alone is text. */
export const phi4: ToolParser = jsonFamily({ open: ['functools'], word: true });
