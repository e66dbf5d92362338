import { extension, type Extension } from './extension.ts';
import type { VectorInput } from './embeddings.ts';
import { publicFailure } from './failure.ts';
import { readStruct } from './validate/read-struct.ts';
import { type FieldTable, map, struct } from './validate/struct.ts';
import { any, boolean, i64, list, option, text, type Type, u32, union, word } from './validate/type.ts';

/** What /v1/classify and /v1/pooling have in common, under wire names (spec llm 2.6). */
export interface ClassifyRequest {
  model: string;
  input: VectorInput;
  priority: number | bigint;
  nvext?: Extension | null;
}

/** How vectors are sent back: as numbers, as text of their bytes, or as bytes with or without what is told about them. */
export type PoolingEncoding = 'float' | 'base64' | 'bytes' | 'bytes_only';

/** A request to /v1/pooling. */
export interface PoolingRequest extends ClassifyRequest {
  encoding_format: PoolingEncoding;
  dimensions?: number | null;
}

const optional = (type: Type): readonly [Type, 'default'] => [option(type), 'default'];
const input = (name: string): Type => union(name, text, list(text), list(u32), list(list(u32)));

const head = (name: string): FieldTable => ({
  model: text,
  input: input(name),
  user: optional(text),
  request_id: optional(text),
  priority: [i64, 'default'],
  mm_processor_kwargs: optional(map(any)),
  cache_salt: optional(text),
});

const tail: FieldTable = {
  use_activation: optional(boolean()),
  add_special_tokens: optional(boolean()),
  truncate_prompt_tokens: optional(i64),
  truncation_side: optional(word('left', 'right')),
  nvext: option(extension),
};

const classifyBody = struct('NvCreateClassifyRequest', { ...head('ClassificationInput'), ...tail });
const poolingBody = struct('NvCreatePoolingRequest', {
  ...head('PoolingInput'),
  task: optional(text),
  encoding_format: [word('float', 'base64', 'bytes', 'bytes_only'), 'default'],
  embed_dtype: optional(word('float32', 'float16', 'bfloat16', 'fp8_e4m3', 'fp8_e5m2')),
  endianness: optional(word('native', 'big', 'little')),
  dimensions: optional(u32),
  ...tail,
});

/**
 * Reads the body of a classification request.
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export const parseClassifyRequest = (body: string): ClassifyRequest =>
  ({ priority: 0, ...readStruct(body, classifyBody) }) as unknown as ClassifyRequest;

/**
 * Reads the body of a pooling request.
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function parsePoolingRequest(body: string): PoolingRequest {
  const request = { priority: 0, encoding_format: 'float', ...readStruct(body, poolingBody) } as unknown as PoolingRequest;
  if ((request.dimensions ?? null) !== null) throw publicFailure('invalid_argument', 'dimensions is currently not supported');
  return request;
}
