import type { CommandName, Flag } from './flags.ts';

const runs: readonly CommandName[] = ['serve', 'worker', 'run'];

/** Options of the engine that runs GGUF files. */
export const llamaFlags: readonly Flag[] = [
  {
    flag: '--sequences',
    type: 'count',
    least: 1,
    fallbackText: '4',
    help: 'Requests that the llama engine answers at once, each with a KV cache of its own; further ones wait.',
    option: 'llama.sequences',
    commands: runs,
  },
  {
    flag: '--context-length',
    type: 'count',
    least: 16,
    fallbackText: "the model's own, at most 4096",
    help: 'Longest sequence of the llama engine in tokens, prompt and answer together.',
    option: 'llama.contextLength',
    commands: runs,
  },
  {
    flag: '--threads',
    type: 'count',
    least: 1,
    fallbackText: "half of the machine's; of serve each worker's part of it",
    help: 'Threads that the llama engine computes with.',
    option: 'llama.threads',
    commands: runs,
  },
  {
    flag: '--kv-block-size',
    type: 'count',
    least: 1,
    fallbackText: '16',
    help: 'Tokens of one block in what the llama engine tells of its cache.',
    option: 'llama.blockSize',
    commands: runs,
  },
];
