import { expect, test } from 'vitest';
import { countTokens, vocabularyOf } from './vocabulary-size.ts';

test('a configuration says how large the vocabulary is, or its language part does, or nobody', () => {
  expect(vocabularyOf({ vocab_size: 151_936, text_config: { vocab_size: 5 } })).toBe(151_936);
  expect(vocabularyOf({ text_config: { vocab_size: 262_208 } })).toBe(262_208);
  for (const config of [{}, null, { text_config: null }, { vocab_size: '7' }]) expect(vocabularyOf(config)).toBeUndefined();
});

test('added tokens that are in the vocabulary count once', () => {
  const added = [
    { id: 1, content: 'b' },
    { id: 2, content: '<end>' },
  ];
  expect(countTokens({ model: { vocab: { a: 0, b: 1 } }, added_tokens: added })).toBe(3);
  expect(
    countTokens({
      model: {
        vocab: [
          ['a', -1],
          ['b', -2],
        ],
      },
      added_tokens: added,
    }),
  ).toBe(3);
  expect(countTokens({})).toBe(0);
});
