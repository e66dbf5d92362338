import { DynamoError } from '@dynamo/runtime';
import type { GgufFile } from './read-gguf.ts';

/** What serving needs of a GGUF file's metadata. */
export interface GgufFacts {
  readonly architecture: string;
  /** Longest sequence that the model was trained for, in tokens. */
  readonly contextLength: number;
  readonly vocabularySize: number;
  /** Bytes of one token in the KV cache, with 16-bit values. */
  readonly kvBytesPerToken: number;
  readonly bosTokenId: number | undefined;
  /** The tokens that end an answer. */
  readonly eosTokenIds: readonly number[];
  readonly chatTemplate: string | undefined;
}

/** Marks that end a turn in one family or another, whatever the metadata says is the end token. */
const turnEnds: readonly string[] = ['<|im_end|>', '<|eot_id|>', '<|eom_id|>', '<|end|>', '<|endoftext|>', '<|end_of_text|>', '<end_of_turn>'];

/** Type of tokens that no text spells. */
const controlToken = 3;

/** @throws DynamoError `invalid_argument` for a file without what every language model has. */
export function factsOf(gguf: GgufFile): GgufFacts {
  const architecture = textOf(gguf, 'general.architecture') ?? missing(gguf, 'general.architecture');
  const own = (key: string): number | undefined => numberOf(gguf, `${architecture}.${key}`);
  const tokens = tokensOf(gguf);
  const layers = own('block_count') ?? 0;
  const heads = own('attention.head_count') ?? 1;
  const width = (own('embedding_length') ?? 0) / heads;
  const values = (own('attention.key_length') ?? width) + (own('attention.value_length') ?? width);
  return {
    architecture,
    contextLength: own('context_length') ?? missing(gguf, `${architecture}.context_length`),
    vocabularySize: own('vocab_size') ?? tokens.length,
    kvBytesPerToken: layers * (own('attention.head_count_kv') ?? heads) * values * 2,
    bosTokenId: numberOf(gguf, 'tokenizer.ggml.bos_token_id'),
    eosTokenIds: endsOf(gguf, tokens),
    chatTemplate: textOf(gguf, 'tokenizer.chat_template'),
  };
}

/** The vocabulary, by id. */
export const tokensOf = (gguf: GgufFile): readonly string[] => textsOf(gguf, 'tokenizer.ggml.tokens') ?? missing(gguf, 'tokenizer.ggml.tokens');

/** Kinds of the vocabulary's tokens; of none where the file does not say. */
export const tokenTypesOf = (gguf: GgufFile): readonly number[] => {
  const types = gguf.metadata.get('tokenizer.ggml.token_type');
  return Array.isArray(types) ? (types as readonly number[]) : [];
};

function endsOf(gguf: GgufFile, tokens: readonly string[]): readonly number[] {
  const types = tokenTypesOf(gguf);
  const named = ['eos', 'eot', 'eom'].map((name) => numberOf(gguf, `tokenizer.ggml.${name}_token_id`));
  const known = turnEnds.map((text) => tokens.indexOf(text)).filter((id) => types[id] === controlToken);
  return [...new Set([...named, ...known])].filter((id) => id !== undefined);
}

export function textOf({ metadata }: GgufFile, key: string): string | undefined {
  const value = metadata.get(key);
  return typeof value === 'string' ? value : undefined;
}

function numberOf({ metadata }: GgufFile, key: string): number | undefined {
  const value = metadata.get(key);
  // Some architectures have one value a layer: the largest is the safe one.
  const one = Array.isArray(value) ? Math.max(...(value as number[])) : value;
  return typeof one === 'number' && Number.isFinite(one) ? one : undefined;
}

export function textsOf({ metadata }: GgufFile, key: string): readonly string[] | undefined {
  const value = metadata.get(key);
  return Array.isArray(value) && value.every((member) => typeof member === 'string') ? value : undefined;
}

function missing({ path }: GgufFile, key: string): never {
  throw new DynamoError('invalid_argument', `${path} has no ${key} in its metadata: it is no language model`, { data: { path, key } });
}
