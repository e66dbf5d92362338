import type { ReasoningParser } from './parser.ts';
import { tagFamily } from './tag-family.ts';

/** Granite announces thoughts and answers in words. */
export const granite: ReasoningParser = tagFamily({
  open: ['Here is my thought process:', "Here's my thought process:"],
  close: ['Here is my response:', "Here's my response:"],
  begins: () => 'answer',
  dropBegun: true,
});
