import { DynamoError } from '@dynamo/runtime';
import { extension, type Extension } from './extension.ts';
import { bodyType, readBody } from './validate/body.ts';
import { boolean, i64, list, option, text, u32, union, word } from './validate/type.ts';

/** Text or token ids, one or several. */
export type VectorInput = string | readonly string[] | readonly number[] | readonly (readonly number[])[];

/** A request for embeddings, with all members that 1.6.1 takes under their wire names (spec llm 2.7). */
export interface EmbeddingRequest {
  model: string;
  input: VectorInput;
  encoding_format?: 'float' | 'base64' | null;
  dimensions?: number | null;
  user?: string | null;
  /** How many tokens of each input are used; -1 is the model's whole context. */
  truncate_prompt_tokens?: number | bigint | null;
  add_special_tokens?: boolean | null;
  nvext?: Extension | null;
}

const body = bodyType({
  name: 'NvCreateEmbeddingRequest',
  own: { nvext: option(extension), truncate_prompt_tokens: option(i64), add_special_tokens: option(boolean()) },
  common: {},
  openai: {
    model: text,
    input: union('EmbeddingInput', text, list(text), list(u32), list(list(u32))),
    encoding_format: option(word('float', 'base64')),
    user: option(text),
    dimensions: option(u32),
  },
});

/**
 * Reads the body of an embedding request. Members that it does not know are passed over, unlike those of chats.
 *
 * @throws DynamoError `invalid_argument` with a public message.
 */
export function parseEmbeddingRequest(text: string): EmbeddingRequest {
  const { value, others } = readBody(text, body);
  for (const name of others) delete value[name];
  const request = value as unknown as EmbeddingRequest;
  // Members of `nvext` that only chats have go no further.
  const annotations = request.nvext?.annotations;
  if ((request.nvext ?? null) !== null) request.nvext = annotations === undefined ? {} : { annotations };
  return request;
}

/** The inputs of a request one by one. */
export function inputsOf(input: VectorInput): readonly (string | readonly number[])[] {
  if (typeof input === 'string') return [input];
  return typeof input[0] === 'number' ? [input as readonly number[]] : (input as readonly (string | readonly number[])[]);
}

/**
 * How many tokens of each input are sent; undefined is all of them.
 *
 * @throws DynamoError `invalid_argument` for a length below -1 or beyond the model's context.
 */
export function truncationOf({ truncate_prompt_tokens: asked }: EmbeddingRequest, contextLength: number): number | undefined {
  if (asked === undefined || asked === null) return undefined;
  const length = Number(asked);
  if (length < -1 || length > contextLength)
    throw new DynamoError('invalid_argument', `truncate_prompt_tokens must be between -1 and ${contextLength}, got ${length}`);
  return length === -1 ? contextLength : length;
}
