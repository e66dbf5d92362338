import type { ReasoningParser, ReasoningRun } from './parser.ts';
import { tagFamily } from './tag-family.ts';

/** MiniMax M3: `<mm:think>…</mm:think>`, of which the closing marker, or a call, alone is enough. */
export const minimaxM3: ReasoningParser = tagFamily({
  open: ['<mm:think>'],
  close: ['</mm:think>'],
  endedBy: [']<]minimax[>[<tool_call>'],
  begins: ({ asked }) => (asked === false ? 'off' : 'unknown'),
  dropBegun: true,
});

/** MiniMax models whose clients read thoughts themselves: the opening marker that the prompt held is put back. */
export const minimaxAppendThink: ReasoningParser = {
  start: (): ReasoningRun => {
    let begun = false;
    return {
      push: (text) => {
        if (text === '') return [];
        const shown = begun ? text : `<think>${text}`;
        begun = true;
        return [{ type: 'text', text: shown }];
      },
      end: () => [],
      inside: false,
    };
  },
};
