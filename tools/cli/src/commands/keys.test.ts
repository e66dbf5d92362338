import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashKey, parseKeyFile } from '@dynamo/llm/internal';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dynamo } from '../testing/command.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'dynamo-keys-'))));
afterAll(() => rm(folder, { recursive: true }));

test('a key is shown once, and its file knows only the hash', async () => {
  const file = join(folder, 'keys');
  const first = await dynamo([
    'keys',
    '--key-id',
    'a',
    '--file',
    file,
    '--models',
    'x, y',
    '--tokens-per-minute',
    '100',
    '--admin',
    '--expires-days',
    '2',
  ]);
  const second = await dynamo(['keys', '--key-id', 'b', '--file', file]);
  expect([first.code, second.code]).toEqual([0, 0]);
  const [key, other] = [first.stdout.trim(), second.stdout.trim()];
  expect(key).toMatch(/^dyn-[\w-]{43}$/);
  expect(other).not.toBe(key);
  const text = await readFile(file, 'utf8');
  expect(text).not.toContain(key);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  expect(parseKeyFile(file, text)).toEqual([
    { id: 'a', sha256: hashKey(key).toString('hex'), models: ['x', 'y'], tokensPerMinute: 100, admin: true, expires: expect.any(String) },
    { id: 'b', sha256: hashKey(other).toString('hex') },
  ]);
});

test('what can not be used ends in one line', async () => {
  const file = join(folder, 'twice');
  await dynamo(['keys', '--key-id', 'a', '--file', file]);
  expect(await dynamo(['keys', '--key-id', 'a', '--file', file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('id "a" or its hash is there twice'),
  });
  expect(await dynamo(['keys', '--key-id', 'a b'])).toMatchObject({ code: 2, stdout: '' });
  expect(await dynamo(['keys'])).toMatchObject({ code: 2, stderr: 'dynamo: --key-id is missing: name the owner of the key\n' });
});
