import type { ReasoningParser } from './parser.ts';
import { tagFamily } from './tag-family.ts';

/** Mistral: `[THINK]…[/THINK]`, read only where the client asks for an effort. */
export const mistral: ReasoningParser = tagFamily({
  open: ['[THINK]'],
  close: ['[/THINK]'],
  begins: ({ effort }) => (effort === undefined || effort === 'none' ? 'off' : 'thought'),
});
