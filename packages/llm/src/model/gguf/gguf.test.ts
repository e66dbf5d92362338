import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { modelFileStore } from '../../frontend/model-files.ts';
import { cardFromDirectory } from '../card.ts';
import { factsOf, ggufFolder, readGguf } from './index.ts';
import { ggufBytes, smallModel } from './testing/write-gguf.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'dynamo-gguf-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

let count = 0;
async function file(bytes: Buffer): Promise<string> {
  const path = join(root, `${count++}.gguf`);
  await writeFile(path, bytes);
  return path;
}

test('a GGUF file says what serving needs', async () => {
  const facts = factsOf(await readGguf(await file(ggufBytes(smallModel()))));
  expect(facts).toMatchObject({ architecture: 'llama', contextLength: 2048, vocabularySize: 31, bosTokenId: 1, eosTokenIds: [2, 0] });
  // Two layers of two key-value heads of 16 values, twice, at two bytes each.
  expect(facts.kvBytesPerToken).toBe(2 * 2 * 16 * 2 * 2);
});

test('its model folder has a tokenizer, a chat template and the tokens that end an answer; made once', async () => {
  const path = await file(ggufBytes(smallModel()));
  const env = { XDG_CACHE_HOME: join(root, 'cache') };
  const [folder, again] = await Promise.all([ggufFolder(path, env), ggufFolder(path, env)]);
  expect(again).toBe(folder);
  const card = await cardFromDirectory(folder);
  expect(card.context_length).toBe(2048);
  const files = await modelFileStore().load(card);
  expect(files.eosTokenIds).toEqual([2, 0]);
  const prompt = files.template?.render({ messages: [{ role: 'user', content: 'he he' }], add_generation_prompt: true }) ?? '';
  expect(prompt).toBe('<|im_start|>he he<|im_end|>');
  expect(files.tokenizer.encode(prompt)).toEqual([1, 30, 29, 30, 2]);
});

test('a vocabulary of another kind is refused by its name', async () => {
  const path = await file(ggufBytes({ ...smallModel(), 'tokenizer.ggml.model': ['string', 'llama'] }));
  await expect(ggufFolder(path, { XDG_CACHE_HOME: join(root, 'cache') })).rejects.toMatchObject({
    code: 'not_implemented',
    message: expect.stringContaining("the vocabulary 'llama'"),
  });
});

describe('bad files', () => {
  const whole = ggufBytes(smallModel());
  const patched = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return bytes;
  };
  test.each([
    ['no file at all', undefined, 'not_found', /can't be read/],
    ['an empty one', Buffer.alloc(0), 'invalid_argument', /is empty/],
    ['another kind of file', Buffer.from('PK\x03\x04 and more of it'), 'invalid_argument', /is no GGUF file/],
    ['a version that is not known', ggufBytes(smallModel(), { version: 1 }), 'invalid_argument', /of version 1/],
    ['one of a big-endian machine', patched((bytes) => bytes.subarray(4, 8).reverse()), 'invalid_argument', /of version 50331648/],
    ['more entries than it could have', patched((bytes) => bytes.writeBigUInt64LE(1n << 40n, 16)), 'invalid_argument', /metadata entries/],
    [
      'a count beyond all numbers',
      patched((bytes) => bytes.writeBigUInt64LE(1n << 63n, 8)),
      'invalid_argument',
      /says 9223372036854775808 of its tensors: it is damaged/,
    ],
    ['a text longer than the file', patched((bytes) => bytes.writeBigUInt64LE(1n << 30n, 24)), 'invalid_argument', /characters of a text/],
    ['one without its last weight', whole.subarray(0, -1), 'invalid_argument', /is cut off.*weights/],
  ])('%s', async (_name, bytes, code, message) => {
    const path = bytes === undefined ? join(root, 'none.gguf') : await file(bytes);
    await expect(readGguf(path)).rejects.toMatchObject({ name: 'DynamoError', code, message: expect.stringMatching(message) });
  });

  test('one that is cut off anywhere in its header', async () => {
    for (let end = 1; end < whole.length - 32; end += 37) {
      await expect(readGguf(await file(whole.subarray(0, end)))).rejects.toMatchObject({ code: 'invalid_argument' });
    }
  });

  test('what is no language model', async () => {
    const { 'llama.context_length': _, ...rest } = smallModel();
    const gguf = await readGguf(await file(ggufBytes(rest)));
    expect(() => factsOf(gguf)).toThrow(/has no llama.context_length/);
  });
});
