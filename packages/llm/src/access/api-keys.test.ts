import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ApiKeys } from './api-keys.ts';
import { hashKey, parseKeyFile } from './key-file.ts';

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'dynamo-keys-'))));
afterAll(() => rm(folder, { recursive: true }));

const line = (id: string, key: string, more: object = {}): string => `${JSON.stringify({ id, sha256: hashKey(key).toString('hex'), ...more })}\n`;

async function open(name: string, text: string) {
  const path = join(folder, name);
  await writeFile(path, text);
  const errors: object[] = [];
  let now = 0;
  const log = { ...silentLogger, error: (fields: object) => void errors.push(fields) };
  const keys = await ApiKeys.open({ path, log, now: () => now, lookMs: 20 });
  return { path, keys, errors, pass: (ms: number) => void (now += ms) };
}

test('a key is found by its hash, and nothing else is', async () => {
  const { keys } = await open(
    'a',
    `# two keys\n\n${line('a', 'secret-a')}${line('b', 'secret-b', { models: ['m'], admin: true, expires: '2030-01-01' })}`,
  );
  await using _keys = keys;
  expect(keys.find('secret-a')?.entry.id).toBe('a');
  expect(keys.find('secret-b')?.mayAsk('m')).toBe(true);
  expect(keys.find('secret-b')?.mayAsk('other')).toBe(false);
  expect(keys.find('secret-b')?.expired(Date.parse('2029-12-31'))).toBe(false);
  expect(keys.find('secret-b')?.expired(Date.parse('2030-01-01'))).toBe(true);
  for (const wrong of ['', 'secret', 'secret-a ', hashKey('secret-a').toString('hex')]) expect(keys.find(wrong)).toBeUndefined();
});

test('the file is read again when it changes, limits keep what is left of them, and bad text changes nothing', async () => {
  const { path, keys, errors } = await open('b', line('a', 'one', { requestsPerMinute: 2 }));
  await using _keys = keys;
  keys.find('one')?.takeRequest();
  await writeFile(`${path}.new`, line('a', 'two', { requestsPerMinute: 2 }) + line('b', 'three'));
  await rename(`${path}.new`, path);
  await expect.poll(() => keys.find('two')?.entry.id, { timeout: 10_000 }).toBe('a');
  expect(keys.find('one')).toBeUndefined();
  expect(keys.find('two')?.takeRequest()).toBeUndefined();
  expect(keys.find('two')?.takeRequest()).toMatchObject({ kind: 'requests' });
  await writeFile(path, '{"id": "a"}\n');
  await expect.poll(() => errors.length, { timeout: 10_000 }).toBe(1);
  expect(keys.find('two')?.entry.id).toBe('a');
  await rm(path);
  await expect.poll(() => errors.length, { timeout: 10_000 }).toBe(2);
  expect(keys.find('three')?.entry.id).toBe('b');
});

test('books: reserved, settled, given back', async () => {
  const { keys } = await open('c', line('a', 'one', { tokensPerMinute: 1_000 }));
  await using _keys = keys;
  const account = keys.find('one');
  const left = (): number | undefined => account?.allowances[0]?.bucket.left;
  const books = account?.openBooks();
  expect(books?.reserve(100, 500)).toBeUndefined();
  expect(left()).toBe(400);
  expect(account?.openBooks().reserve(10, 500)).toMatchObject({ kind: 'tokens', asked: 510 });
  books?.spend(50);
  books?.settle(false);
  books?.settle(false);
  expect(left()).toBe(850);
  const failed = account?.openBooks();
  failed?.reserve(100, undefined);
  failed?.settle(true);
  expect(left()).toBe(850);
});

test.each([
  ['no JSON', 'keys line 1: is no JSON'],
  ['[]', 'keys line 1: is no JSON object'],
  ['{"id":"a"}', 'keys line 1: "sha256" is missing'],
  ['{"id":"a b","sha256":""}', 'keys line 1: "id" must be a text of 1 to 64 letters'],
  [`# x\n{"id":"a","sha256":"${'0'.repeat(63)}"}`, 'keys line 2: "sha256" must be 64 hex digits'],
  [`{"id":"a","sha256":"${'0'.repeat(64)}","rpm":1}`, 'keys line 1: "rpm" is no member of a key'],
  [`{"id":"a","sha256":"${'0'.repeat(64)}","tokensPerMinute":0}`, 'keys line 1: "tokensPerMinute" must be a whole number from 1'],
  [`{"id":"a","sha256":"${'0'.repeat(64)}"}\n{"id":"b","sha256":"${'0'.repeat(64)}"}`, 'keys line 2: id "b" or its hash is there twice'],
])('%s is refused with its place', (text, message) => {
  expect(() => parseKeyFile('keys', text)).toThrow(message);
});
