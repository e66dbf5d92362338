import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, utimes, writeFile, mkdir, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type LogFields, silentLogger } from '../../log.ts';
import { discoveryContract } from '../discovery.contract.ts';
import { file } from './index.ts';
import { fileNameOf, keyOf } from './names.ts';

async function folder(): Promise<{ root: string } & AsyncDisposable> {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-file-'));
  return { root, [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }) };
}

discoveryContract({
  open: async () => {
    const stack = new AsyncDisposableStack();
    const { root } = stack.use(await folder());
    const open = async () => stack.use(await file({ root, log: silentLogger }));
    return { a: await open(), b: await open(), [Symbol.asyncDispose]: () => stack.disposeAsync() };
  },
  skip: [],
});

const captured = readFileSync(new URL('../../../../../vectors/runtime/records/file-discovery-mocker.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as { bucket: string; file_name: string; key: string });

test('file names are those of the real backend, both ways', () => {
  for (const { file_name: name, key } of captured) {
    expect(fileNameOf(key)).toBe(name);
    expect(keyOf(name)).toBe(key);
  }
  expect(() => fileNameOf('x/'.repeat(200))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  for (const name of ['.tmp_0123456789abcdef', 'a-b', 'a%2', 'a%zz', '%FF']) expect(keyOf(name)).toBeUndefined();
});

test('garbage, cut-off and half-written files are ignored with one line each, and read once whole', async () => {
  await using at = await folder();
  const lines: LogFields[] = [];
  await using discovery = await file({ root: at.root, log: { ...silentLogger, warn: (fields) => void lines.push(fields) } });
  const directory = join(at.root, 'v1/instances');
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'cut'), '{"type":"Endp');
  await writeFile(join(directory, 'garbage'), Buffer.from([0xff, 0x00, 0x7b]));
  await writeFile(join(directory, '.tmp_00'), '{"type":"Endpoint"}');
  for (let look = 0; look < 3; look++) expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([]);
  expect(lines).toHaveLength(2);
  await writeFile(join(directory, 'cut'), '{"type":"Endpoint"}');
  expect(await discovery.list({ bucket: 'v1/instances' })).toMatchObject([{ key: 'cut' }]);
});

test('records of the dead are not listed and soon deleted', async () => {
  await using at = await folder();
  await using discovery = await file({ root: at.root, log: silentLogger });
  await discovery.list({ bucket: 'v1/instances' });
  const path = join(at.root, 'v1/instances', 'orphan');
  await writeFile(path, '{"type":"Endpoint"}');
  const past = new Date(Date.now() - 11_000);
  await utimes(path, past, past);
  expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([]);
  await expect.poll(() => existsSync(path), { timeout: 6_000 }).toBe(false);
});

test("a dead process's record does not stand in the way of a new one with its key", async () => {
  await using at = await folder();
  await using discovery = await file({ root: at.root, log: silentLogger });
  const record = { bucket: 'v1/instances' as const, key: 'n/c/e/1', value: '{"type":"Endpoint"}' };
  await discovery.list({ bucket: 'v1/instances' });
  const path = join(at.root, 'v1/instances', fileNameOf(record.key));
  await writeFile(path, '{"type":"Endpoint","dead":true}');
  await utimes(path, 0, 0);
  await discovery.put(record);
  expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([record]);
});

test('a blocked event loop keeps its registration, and a deleted record comes back', async () => {
  await using at = await folder();
  await using discovery = await file({ root: at.root, log: silentLogger, ttlMs: 1_500 });
  await discovery.put({ bucket: 'v1/instances', key: 'busy', value: '{"type":"Endpoint"}' });
  const until = Date.now() + 4_000;
  while (Date.now() < until);
  expect(await discovery.list({ bucket: 'v1/instances' })).toHaveLength(1);
  await unlink(join(at.root, 'v1/instances/busy'));
  await sleep(1_200);
  expect(await readdir(join(at.root, 'v1/instances'))).toEqual(['busy']);
});
