import type { ReasoningParser } from './parser.ts';
import { tagFamily } from './tag-family.ts';

/** Kimi's first thinking models: `◁think▷…◁/think▷`. */
export const kimi: ReasoningParser = tagFamily({ open: ['◁think▷'], close: ['◁/think▷'], dropBegun: true });

/** Kimi K3: `<|open|>think<|sep|>…<|close|>think<|sep|>`, and marks around the answer, which are taken out. */
export const kimiK3: ReasoningParser = tagFamily({
  open: ['<|open|>think<|sep|>'],
  close: ['<|close|>think<|sep|>'],
  dropped: ['<|open|>response<|sep|>', '<|close|>response<|sep|>', '<|close|>message<|sep|>'],
  endedBy: ['<|open|>tools<|sep|>'],
  begins: ({ asked, promptOpens }) => (asked === false ? 'off' : promptOpens === true ? 'thought' : 'answer'),
});
