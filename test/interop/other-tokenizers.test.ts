import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { loadTokenizer, type Tokenizer } from '@dynamo/llm/internal';
import { describe, expect, test } from 'vitest';
import { findPython } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const words =
  "the |quick |brown |fox| |  |   |\n|\n\n|\t|Wörter|enthält|日本語|世界|。|hello|world|, |0123|9|def |encode|(|)|-> |é|e\u0301|ß|😀|👩‍👩‍👧|İ|ﬁ|Ａ|\u00a0|\u3000|\u200b|\u0001|<s>|</s>|<bos>|<unk>|[SEP]|▁|don't|a.b|ʼ|한|ไทย".split(
    '|',
  );

/** Random strings of words, letters and any characters; the same every time. */
function strings(count: number): string[] {
  let state = 20_261_125;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const many = (limit: number, next: () => string): string => Array.from({ length: 1 + below(limit) }, next).join('');
  const kinds = [
    () => many(12, () => words[below(words.length)] as string),
    () => many(30, () => String.fromCharCode(97 + below(26)) + (below(5) === 0 ? ' ' : '')),
    () => many(15, () => String.fromCodePoint(1 + below(0xd7ff))),
    () => (words[below(words.length)] as string).repeat(1 + below(9)),
  ];
  return Array.from({ length: count }, () => (kinds[below(kinds.length)] as () => string)());
}

interface Reference {
  json: unknown;
  ids: number[][];
  texts: string[];
  pieces: (string[] | null)[];
}

describe.skipIf('missing' in found)('tokenizers that are no byte-level BPE do as the reference does', () => {
  const texts = ['', ' ', ...strings(1_500)];
  const script = fileURLToPath(new URL('peers/py_other_tokenizers.py', import.meta.url));
  const answer = ((): Record<string, Reference> => {
    if (python === '') return {};
    const { stdout, stderr } = spawnSync(python, [script], { input: JSON.stringify(texts), encoding: 'utf8', maxBuffer: 2 ** 30 });
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout) as Record<string, Reference>;
  })();
  const streamed = (tokenizer: Tokenizer, ids: readonly number[]): string[] => {
    const stream = tokenizer.stream({ promptIds: [], skipSpecialTokens: true });
    return ids.map((id) => stream.push(id));
  };

  test.each(['gemma', 'llama2', 'mistral', 't5', 'bert'])('%s', (name) => {
    const { json, ids, texts: whole, pieces } = answer[name] as Reference;
    const tokenizer = loadTokenizer(json, {});
    const wrong: Record<string, unknown[]> = { encode: [], decode: [], stream: [] };
    for (const [index, text] of texts.entries()) {
      // The library asks the engine what a mark is, whose Unicode is newer than the reference's.
      if (name === 'bert' && /[\u0870-\u2fff\ua000-\uabff]/.test(text)) continue;
      const real = ids[index] as number[];
      const ours = tokenizer.encode(text);
      if (String(ours) !== String(real)) wrong['encode']?.push({ text, ours, real });
      const decoded = tokenizer.decode(real, { skipSpecialTokens: true });
      if (decoded !== whole[index]) wrong['decode']?.push({ ids: real, ours: decoded, real: whole[index] });
      const parts = pieces[index];
      const ourParts = streamed(tokenizer, real);
      if (parts !== null && ourParts.join('') !== parts?.join('')) wrong['stream']?.push({ ids: real, ours: ourParts, real: parts });
    }
    expect(Object.fromEntries(Object.entries(wrong).map(([what, list]) => [what, [list.length, list.slice(0, 4)]]))).toEqual({
      encode: [0, []],
      decode: [0, []],
      stream: [0, []],
    });
  });
});
