import { DynamoError } from '@dynamo/runtime';
import { textOf, textsOf, tokensOf, tokenTypesOf } from './facts.ts';
import type { GgufFile } from './read-gguf.ts';

const byteLevel = (useRegex: boolean): object => ({ type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: useRegex });

/** Words as Llama 3 and Qwen part them; they differ in how many digits stay together. */
const words = (digits: string): object => ({
  type: 'Split',
  pattern: {
    Regex: `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`,
  },
  behavior: 'Isolated',
  invert: false,
});

interface Splitting {
  readonly pre_tokenizer: object;
  readonly normalizer?: object;
  readonly ignoreMerges?: boolean;
}
const sequence = (...pretokenizers: readonly object[]): object => ({ type: 'Sequence', pretokenizers });
const gpt2: Splitting = { pre_tokenizer: byteLevel(true) };
const singleDigits: Splitting = { pre_tokenizer: sequence({ type: 'Digits', individual_digits: true }, byteLevel(true)) };
const llama3: Splitting = { pre_tokenizer: sequence(words('\\p{N}{1,3}'), byteLevel(false)), ignoreMerges: true };
const qwen2: Splitting = { pre_tokenizer: sequence(words('\\p{N}'), byteLevel(false)), normalizer: { type: 'NFC' } };

/** How text is parted into words, by `tokenizer.ggml.pre`. */
const splittings: Readonly<Record<string, Splitting>> = {
  'gpt-2': gpt2,
  smollm: singleDigits,
  starcoder: singleDigits,
  'llama-bpe': llama3,
  'llama-v3': llama3,
  llama3,
  qwen2,
};

const control = 3;
const userDefined = 4;

/**
 * Makes the `tokenizer.json` of a GGUF file's vocabulary.
 *
 * @throws DynamoError `not_implemented` for vocabularies that are no byte-level BPE, or part text in a way that is not known here.
 */
export function tokenizerJson(gguf: GgufFile): object {
  const { path } = gguf;
  const model = textOf(gguf, 'tokenizer.ggml.model');
  const pre = textOf(gguf, 'tokenizer.ggml.pre') ?? '';
  const merges = textsOf(gguf, 'tokenizer.ggml.merges');
  const splitting = Object.hasOwn(splittings, pre) ? splittings[pre] : undefined;
  if (model !== 'gpt2' || merges === undefined || splitting === undefined)
    throw new DynamoError(
      'not_implemented',
      `${path} has the vocabulary '${model ?? 'none'}' with words parted as '${pre}'; 'gpt2' with ${Object.keys(splittings).join(', ')} is read`,
      { data: { path, model, pre } },
    );
  const types = tokenTypesOf(gguf);
  const vocab: Record<string, number> = {};
  const added: object[] = [];
  for (const [id, content] of tokensOf(gguf).entries()) {
    const type = types[id];
    if (type === control || type === userDefined)
      added.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: type === control });
    else vocab[content] = id;
  }
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: added,
    normalizer: splitting.normalizer ?? null,
    pre_tokenizer: splitting.pre_tokenizer,
    post_processor: null,
    decoder: byteLevel(true),
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: splitting.ignoreMerges ?? false,
      vocab,
      merges,
    },
  };
}
