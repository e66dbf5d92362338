import { deepseekV41 as deepseekV41Tools } from '../tools/dsml.ts';
import type { ReasoningParser, ThinkingFacts } from './parser.ts';
import { type TagFamily, tagFamily } from './tag-family.ts';

const tags = { open: ['<think>'], close: ['</think>'] } satisfies TagFamily;

const thoughtUnlessOff = ({ asked }: ThinkingFacts): 'thought' | 'off' => (asked === false ? 'off' : 'thought');

/** `<think>…</think>` wherever it comes, thinking or not. */
export const basic: ReasoningParser = tagFamily(tags);

const answerUnlessOff = ({ asked, promptOpens }: ThinkingFacts): 'thought' | 'answer' | 'off' =>
  asked === false ? 'off' : promptOpens === true ? 'thought' : 'answer';

/** DeepSeek V4: a call ends a thought. */
export const deepseekV4: ReasoningParser = tagFamily({ ...tags, endedBy: ['<｜DSML｜tool_calls>'], begins: answerUnlessOff, dropBegun: true });

/** DeepSeek V4.1 calls its tools in the middle of thoughts. */
export const deepseekV41: ReasoningParser = { ...tagFamily({ ...tags, begins: answerUnlessOff }), afterTools: deepseekV41Tools };

/** DeepSeek R1 and V3.2: the answer begins as a thought, whether the model opens it or not. */
export const deepseekR1: ReasoningParser = tagFamily({ ...tags, begins: thoughtUnlessOff });

/** Step 3 always thinks. */
export const step3: ReasoningParser = tagFamily({ ...tags, begins: () => 'thought' });

/** DeepSeek V3 and V3.1 think where they are asked to. */
export const deepseekV3: ReasoningParser = tagFamily({ ...tags, begins: ({ asked }) => (asked === true ? 'thought' : 'off') });

const thoughtOrOpened = ({ asked }: ThinkingFacts): 'thought' | 'off-but-opened' => (asked === false ? 'off-but-opened' : 'thought');

/** Nemotron Nano: with thinking off it may still open a thought, which is an answer then. */
export const nemotronNano: ReasoningParser = tagFamily({ ...tags, begins: thoughtOrOpened });

/** Nemotron 3: the same, and a call ends a thought. */
export const nemotron3: ReasoningParser = tagFamily({
  ...tags,
  reopens: true,
  endedBy: ['<tool_call>'],
  begins: thoughtOrOpened,
  dropBegun: true,
});

/** Kimi K2.5: a call ends a thought. */
export const kimiK25: ReasoningParser = tagFamily({
  ...tags,
  endedBy: ['<|tool_calls_section_begin|>', '<|tool_call_section_begin|>'],
  begins: thoughtUnlessOff,
  dropBegun: true,
});

/** MiniMax M2: a call ends a thought. */
export const minimaxM2: ReasoningParser = tagFamily({ ...tags, endedBy: ['<minimax:tool_call>'], begins: thoughtUnlessOff, dropBegun: true });
