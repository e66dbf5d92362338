import { deepseekV3, deepseekV31 } from './deepseek-v3.ts';
import { deepseekV32, deepseekV4, deepseekV41 } from './dsml.ts';
import { gemma4 } from './gemma4.ts';
import { glm } from './glm.ts';
import { harmony } from './harmony.ts';
import { hermes } from './hermes.ts';
import { inkling } from './inkling.ts';
import { jamba } from './jamba.ts';
import { kimiK2, kimiK25 } from './kimi-k2.ts';
import { kimiK3 } from './kimi-k3.ts';
import { llama3 } from './llama3.ts';
import { minimaxM2 } from './minimax-m2.ts';
import { minimaxM3 } from './minimax-m3.ts';
import { mistral } from './mistral.ts';
import { muse } from './muse.ts';
import { defaultTools, nemotronDeci } from './nemotron-deci.ts';
import type { ToolParser } from './parser.ts';
import { phi4 } from './phi4.ts';
import { pythonic } from './pythonic.ts';
import { qwen3, qwen3Coder } from './qwen3-coder.ts';

/** Every tool parser by the names that cards give it (spec llm 6). */
export const toolParsers: Readonly<Record<string, ToolParser>> = {
  default: defaultTools,
  hermes,
  qwen25: hermes,
  qwen3,
  qwen3_coder: qwen3Coder,
  nemotron_nano: qwen3Coder,
  nemotron_deci: nemotronDeci,
  llama3_json: llama3,
  mistral,
  phi4,
  jamba,
  pythonic,
  harmony,
  deepseek_v3: deepseekV3,
  deepseek_v3_1: deepseekV31,
  deepseek_v3_2: deepseekV32,
  deepseek_v4: deepseekV4,
  'deepseek-v4': deepseekV4,
  deepseekv4: deepseekV4,
  deepseek_v41: deepseekV41,
  glm45: glm,
  glm47: glm,
  kimi_k2: kimiK2,
  kimi_k25: kimiK25,
  kimi_k3: kimiK3,
  'kimi-k3': kimiK3,
  minimax_m2: minimaxM2,
  minimax_m3: minimaxM3,
  'minimax-m3': minimaxM3,
  minimax_m3_nom: minimaxM3,
  'minimax-m3-nom': minimaxM3,
  gemma4,
  'gemma-4': gemma4,
  inkling,
  muse,
  muse_glimmer: muse,
};
