import { jsonFamily } from './json-family.ts';
import type { ToolParser } from './parser.ts';

/** Nemotron of DeciLM: `<TOOLCALL>[{"name":…,"arguments":{…}}]</TOOLCALL>`; what is no call stays text. */
export const nemotronDeci: ToolParser = jsonFamily({ open: ['<TOOLCALL>'], close: ['</TOOLCALL>'], garbage: 'text' });

/** The parser of models without one of their own: Nemotron's markers and Llama's; nothing is dropped. */
export const defaultTools: ToolParser = jsonFamily({
  open: ['<TOOLCALL>', '<|python_tag|>'],
  close: ['</TOOLCALL>'],
  garbage: 'text',
  truncated: 'text',
});
