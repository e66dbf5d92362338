import { openLlama } from '@dynamo/llm/internal';
import type { EngineFactory } from './index.ts';
import { UsageError } from '../usage.ts';

/** A model of a GGUF file, run on this machine's processor. */
export const llama: EngineFactory = async ({ modelPath, llama: { sequences, contextLength, threads, blockSize }, log }) => {
  if (!modelPath.toLowerCase().endsWith('.gguf')) throw new UsageError(`--engine llama runs GGUF files: --model FILE.gguf, and not '${modelPath}'`);
  const opened = await openLlama({ path: modelPath, sequences, contextLength, threads, blockSize, log });
  return {
    engine: opened.engine,
    serving: { ...opened.card, events: 'native' },
    onServed({ kv }) {
      if (kv !== undefined) opened.tell(kv);
    },
    close: async () => opened[Symbol.asyncDispose](),
  };
};
