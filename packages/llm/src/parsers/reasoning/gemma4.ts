import type { ReasoningParser } from './parser.ts';
import { tagFamily } from './tag-family.ts';

/** Gemma 4: `<|channel>thought…<channel|>`, read only where thoughts are asked for. */
export const gemma4: ReasoningParser = tagFamily({
  open: ['<|channel>'],
  title: 'thought\n',
  close: ['<channel|>'],
  begins: ({ asked, promptOpens }) => (asked !== true ? 'off' : promptOpens === true ? 'thought' : 'answer'),
});
