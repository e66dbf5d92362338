import { DynamoError } from '@dynamo/runtime';
import { factsOf, type GgufFile } from '../../model/gguf/index.ts';

/** What is asked of the machine. */
export interface Size {
  readonly contextLength: number;
  readonly sequences: number;
}

/** What llama.cpp takes beside weights and cache: its program, and the buffers of a batch. */
const working = 128 * 1024 * 1024;

/**
 * Checks that the weights and the KV cache of all sequences fit into the memory that is free.
 *
 * @throws DynamoError `resource_exhausted` where they don't, before anything is loaded.
 */
export function checkMemory(gguf: GgufFile, { contextLength, sequences }: Size, availableBytes: number): void {
  const cache = factsOf(gguf).kvBytesPerToken * contextLength * sequences;
  const needed = gguf.size + cache + working;
  if (needed <= availableBytes) return;
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1e6)} MB`;
  throw new DynamoError(
    'resource_exhausted',
    `${gguf.path} needs ${mb(needed)} (weights ${mb(gguf.size)}, KV cache of ${sequences} sequences of ${contextLength} tokens ${mb(cache)}), and ${mb(availableBytes)} are free`,
    { data: { path: gguf.path, neededBytes: needed, availableBytes } },
  );
}
