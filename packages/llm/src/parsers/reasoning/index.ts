import { gptOss, muse } from './channels.ts';
import { gemma4 } from './gemma4.ts';
import { granite } from './granite.ts';
import { inkling } from './inkling.ts';
import { kimi, kimiK3 } from './kimi.ts';
import { minimaxAppendThink, minimaxM3 } from './minimax.ts';
import { mistral } from './mistral.ts';
import type { ReasoningParser } from './parser.ts';
import { basic, deepseekR1, deepseekV3, deepseekV4, deepseekV41, kimiK25, minimaxM2, nemotron3, nemotronNano, step3 } from './think-tags.ts';

/** Every reasoning parser by the names that cards give it (spec llm 6). */
export const reasoningParsers: Readonly<Record<string, ReasoningParser>> = {
  basic,
  qwen3: basic,
  qwen3_coder: basic,
  glm45: basic,
  glm47: basic,
  nemotron_deci: basic,
  kimi_k2: basic,
  kimi,
  kimi_k25: kimiK25,
  kimi_k3: kimiK3,
  'kimi-k3': kimiK3,
  deepseek_r1: deepseekR1,
  deepseek_v3: deepseekV3,
  deepseek_v3_1: deepseekV3,
  deepseek_v3_2: deepseekR1,
  deepseek_v4: deepseekV4,
  'deepseek-v4': deepseekV4,
  deepseekv4: deepseekV4,
  deepseek_v41: deepseekV41,
  step3,
  granite,
  mistral,
  gemma4,
  'gemma-4': gemma4,
  gpt_oss: gptOss,
  inkling,
  minimax_append_think: minimaxAppendThink,
  minimax_m2: minimaxM2,
  minimax_m3: minimaxM3,
  'minimax-m3': minimaxM3,
  muse,
  muse_glimmer: muse,
  nemotron_nano: nemotronNano,
  nemotron3,
  nemotron_v3: nemotron3,
};
