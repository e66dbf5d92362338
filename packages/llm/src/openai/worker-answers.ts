import { DynamoError } from '@dynamo/runtime';
import { map, struct } from './validate/struct.ts';
import { any, f32, f64, list, option, text, type Type, u32, u64, usize, union, word } from './validate/type.ts';

/** Vectors of a worker that gets token ids: little-endian float32 in base64 (spec llm 2.7). */
export interface EmbeddingChunk {
  embeddings: readonly string[];
  prompt_tokens: number;
  total_tokens: number;
}

/** Token counts of answers that have no output tokens. */
export interface VectorUsage {
  prompt_tokens: number;
  total_tokens: number;
  completion_tokens?: number;
}

/** One vector of a worker that gets text. */
export interface EmbeddingEntry {
  index: number;
  object: string;
  embedding: string | readonly number[];
}

/** The whole answer of such a worker. */
export interface EmbeddingAnswer {
  object: string;
  model: string;
  data: readonly EmbeddingEntry[];
  usage: VectorUsage;
}

/** One classified input. */
export interface ClassifyEntry {
  index: number;
  label?: string | null;
  probs: readonly number[];
  num_classes: number;
}

/** One pooled input: its bytes as base64, its vector, or one vector a token. */
export interface PoolingEntry {
  index: number;
  object?: string;
  data: string | readonly number[] | readonly (readonly number[])[];
}

/** A worker's answer about a list of inputs. */
export interface ListAnswer<Entry> {
  id: string;
  object: string;
  created: number | bigint;
  model: string;
  data: readonly Entry[];
  usage: VectorUsage;
}

/** One document's score. */
export interface RerankEntry {
  index: number;
  score: number;
  document?: string | null;
  meta_info?: Readonly<Record<string, unknown>> | null;
}

const usage = struct('Usage', { prompt_tokens: u32, total_tokens: u32, completion_tokens: [u32, 'default'] });
const listOf = (entry: Type): Type => struct('ListAnswer', { id: text, object: text, created: u64, model: text, data: list(entry), usage });
const optional = (type: Type): readonly [Type, 'default'] => [option(type), 'default'];

const types = {
  embeddingChunk: struct('EmbeddingChunk', { embeddings: list(text), prompt_tokens: u32, total_tokens: u32 }),
  embeddings: struct('EmbeddingAnswer', {
    object: text,
    model: text,
    data: list(struct('EmbeddingEntry', { index: u32, object: text, embedding: union('Embedding', text, list(f32)) })),
    usage,
  }),
  classify: listOf(struct('ClassifyEntry', { index: u32, label: optional(text), probs: list(f32), num_classes: u32 })),
  pooling: listOf(struct('PoolingEntry', { index: u32, object: [text, 'default'], data: union('Vectors', text, list(f32), list(list(f32))) })),
  rerank: list(struct('RerankEntry', { index: usize, score: f64, document: optional(text), meta_info: optional(map(any)) })),
};

const finish = option(word('stop', 'length', 'tool_calls', 'content_filter', 'function_call'));
const delta = struct('Delta', {
  role: optional(word('system', 'user', 'assistant', 'tool', 'developer', 'function')),
  refusal: optional(text),
  reasoning_content: optional(text),
  tool_calls: optional(list(any)),
});
const chunkOf = (choice: Type): Type => struct('Chunk', { id: text, object: text, created: u64, model: text, choices: list(choice) });

/** Types of the chunks that text-input workers send for the two text routes (spec llm 2.6). */
export const textChunkTypes: Readonly<Record<'chat' | 'completions', Type>> = {
  chat: chunkOf(struct('ChatChoice', { index: u32, delta, finish_reason: finish })),
  completions: chunkOf(struct('Choice', { index: u32, text, finish_reason: option(word('stop', 'length', 'content_filter')) })),
};

/** What a worker of a vector route sends, by route. */
export interface WorkerAnswers {
  embeddingChunk: EmbeddingChunk;
  embeddings: EmbeddingAnswer;
  classify: ListAnswer<ClassifyEntry>;
  pooling: ListAnswer<PoolingEntry>;
  rerank: readonly RerankEntry[];
}

/**
 * Reads what a worker sent.
 *
 * @throws DynamoError `unknown` of origin `backend`, saying what does not fit.
 */
export function readAnswer<K extends keyof WorkerAnswers>(kind: K, value: unknown): WorkerAnswers[K] {
  return checked(types[kind], value) as WorkerAnswers[K];
}

/** A value of a type, or the worker's fault. */
export function checked(type: Type, value: unknown): unknown {
  const mismatch = type.mismatch(value, 'exact');
  if (mismatch !== undefined) throw new DynamoError('unknown', `the worker's answer can't be read: ${mismatch}`, { origin: 'backend' });
  return type.usual(value);
}
