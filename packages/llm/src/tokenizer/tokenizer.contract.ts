import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Tokenizer, TokenStream } from './tokenizer.ts';

/** What a tokenizer's test gives. */
export interface TokenizerContract {
  readonly open: () => Tokenizer;
  /** One more than the largest id. */
  readonly size: number;
  /** A special token: its text and its id. */
  readonly special: { readonly text: string; readonly id: number };
  /** What is encoded when a text is: NFC for tokenizers that normalise. */
  readonly normalise: (text: string) => string;
  /** Known encodings. */
  readonly encodings: readonly { readonly text: string; readonly ids: readonly number[] }[];
}

const texts = [
  'Hello, world! It costs $3.50.',
  ' leading and  inner   spaces\t\n\n  indented\r\n',
  'naïve café — “quotes” … ½ ﷽',
  '日本語テキスト 한국어 नमस्ते',
  '😀 👩‍👩‍👧 🏳️‍🌈 \u{1F1E9}\u{1F1EA}',
  '\uFEFFbyte order mark, \uFFFD and \u0085',
  'function f(x) { return x === 1 ? "a" : `b`; }',
];

const run = (stream: TokenStream, ids: readonly number[]): string[] => [...ids.map((id) => stream.push(id)), stream.end()];

/** What every tokenizer promises. */
export function tokenizerContract(name: string, contract: TokenizerContract): void {
  const { size, special } = contract;
  let opened: Tokenizer | undefined;
  const open = (): Tokenizer => (opened ??= contract.open());
  const anyIds = fc.array(fc.oneof(fc.nat(255), fc.nat(size + 5), fc.constant(special.id)), { maxLength: 24 });

  test(`${name}: known encodings`, () => {
    for (const { text, ids } of contract.encodings) expect(open().encode(text)).toEqual(ids);
  });

  test.each(texts)(`${name}: %j comes back`, (text) => {
    const tokenizer = open();
    const ids = tokenizer.encode(text);
    expect(tokenizer.decode(ids, { skipSpecialTokens: true })).toBe(contract.normalise(text));
    expect(run(tokenizer.stream({ promptIds: [], skipSpecialTokens: true }), ids).join('')).toBe(contract.normalise(text));
  });

  test(`${name}: encoding adds nothing, reads special tokens and leaves NUL out`, () => {
    const tokenizer = open();
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.encode(`a${special.text}b`)).toEqual([...tokenizer.encode('a'), special.id, ...tokenizer.encode('b')]);
    expect(tokenizer.encode('a\0b\0')).toEqual(tokenizer.encode('ab'));
  });

  test(`${name}: special tokens are shown or skipped`, () => {
    const tokenizer = open();
    const ids = tokenizer.encode(`a${special.text}b`);
    for (const [skipSpecialTokens, expected] of [
      [false, `a${special.text}b`],
      [true, 'ab'],
    ] as const) {
      expect(tokenizer.decode(ids, { skipSpecialTokens })).toBe(expected);
      expect(run(tokenizer.stream({ promptIds: [], skipSpecialTokens }), ids).join('')).toBe(expected);
    }
  });

  test(`${name}: ids outside the vocabulary have no text`, () => {
    const tokenizer = open();
    const ids = [size, 0xffff_ffff, -1];
    for (const id of ids) expect(tokenizer.idToToken(id)).toBeUndefined();
    expect(tokenizer.decode(ids, { skipSpecialTokens: false })).toBe('');
    expect(tokenizer.decode([], { skipSpecialTokens: false })).toBe('');
    expect(run(tokenizer.stream({ promptIds: ids, skipSpecialTokens: false }), ids)).toEqual(['', '', '', '']);
  });

  test(`${name}: tokens are spelled as in the vocabulary`, () => {
    expect(open().idToToken(special.id)).toBe(special.text);
  });

  test(`${name}: a stream of any ids says what decoding them at once says, and never half a character`, () => {
    const tokenizer = open();
    fc.assert(
      fc.property(anyIds, fc.boolean(), (ids, skipSpecialTokens) => {
        const pieces = run(tokenizer.stream({ promptIds: [], skipSpecialTokens }), ids);
        expect(pieces.join('')).toBe(tokenizer.decode(ids, { skipSpecialTokens }));
        for (const piece of pieces.slice(0, -1)) expect(piece.endsWith('\uFFFD')).toBe(false);
        for (const piece of pieces) expect(piece.isWellFormed()).toBe(true);
      }),
      { numRuns: 500, seed: 3 },
    );
  });
}
