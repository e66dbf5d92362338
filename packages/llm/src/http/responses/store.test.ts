import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FileResponses } from './file-store.ts';
import { MemoryResponses } from './memory-store.ts';
import { freshId } from '../fresh-id.ts';
import { type KeptResponse, type ResponseStore, sizeOf } from './store.ts';

let root = '';
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'responses-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const response = (text = 'x'): KeptResponse => ({
  id: freshId('resp'),
  owner: 'o',
  previous: undefined,
  input: '"hi"',
  output: '[]',
  body: `{"a":"${text}"}`,
});

let folders = 0;
const stores: Readonly<Record<string, (limitBytes: number) => ResponseStore>> = {
  memory: (limitBytes) => new MemoryResponses({ limitBytes }),
  file: (limitBytes) =>
    new FileResponses({
      folder: join(root, String(folders++)),
      limitBytes,
      failed: (error) => {
        throw error;
      },
    }),
};

/** What every store of responses must do. */
describe.each(Object.entries(stores))('the store "%s"', (_name, open) => {
  test('finds at once what it was given, until it is deleted', async () => {
    await using store = open(100_000);
    const kept = response();
    store.put(kept);
    expect(await store.get(kept.id)).toEqual(kept);
    expect(await store.delete(kept.id)).toBe(true);
    expect(await store.delete(kept.id)).toBe(false);
    expect(await store.get(kept.id)).toBeUndefined();
  });

  test('knows nothing of ids that are none', async () => {
    await using store = open(100_000);
    for (const id of ['', 'resp_1', '../../etc/passwd', `resp_${'0'.repeat(31)}/`, freshId('resp')]) {
      expect(await store.get(id)).toBeUndefined();
      expect(await store.delete(id)).toBe(false);
    }
  });

  test('does not keep one that alone is too large', async () => {
    await using store = open(1_000);
    const large = response('x'.repeat(2_000));
    store.put(large);
    expect(await store.get(large.id)).toBeUndefined();
  });
});

test('memory forgets the longest unused first, and never holds more than it may', async () => {
  const one = sizeOf(response());
  await using store = new MemoryResponses({ limitBytes: one * 3 });
  const [a, b, c, d] = [response(), response(), response(), response()] as const;
  for (const kept of [a, b, c]) store.put(kept);
  await store.get(a.id);
  store.put(d);
  expect(await Promise.all([a, b, c, d].map(async ({ id }) => (await store.get(id)) !== undefined))).toEqual([true, false, true, true]);
  for (let index = 0; index < 1_000; index++) {
    store.put(response('y'.repeat(index % 300)));
    expect(store.bytes).toBeLessThanOrEqual(one * 3);
  }
});

test('files outlive the process, are shared, and the longest unused of them go', async () => {
  const folder = join(root, 'shared');
  const failed = (error: unknown): never => {
    throw error;
  };
  const [a, b] = [response('a'.repeat(500)), response('b'.repeat(500))] as const;
  {
    await using store = new FileResponses({ folder, limitBytes: 100_000, failed });
    for (const kept of [a, b]) store.put(kept);
  }
  await utimes(join(folder, `${a.id}.json`), 1, 1);
  await utimes(join(folder, `${b.id}.json`), 2, 2);
  await using other = new FileResponses({ folder, limitBytes: 2_000, failed });
  expect(await other.get(a.id)).toEqual({ ...a, previous: undefined });
  // It was read just now, so the other one is the older.
  other.put(response('c'.repeat(500)));
  await other[Symbol.asyncDispose]();
  expect(await other.get(a.id)).toBeDefined();
  expect(await other.get(b.id)).toBeUndefined();
  expect((await readdir(folder)).filter((name) => !name.endsWith('.json'))).toEqual([]);
});

test('half a file is no response', async () => {
  const folder = join(root, 'broken');
  const told: unknown[] = [];
  await using store = new FileResponses({ folder, limitBytes: 100_000, failed: (error) => told.push(error) });
  const kept = response();
  store.put(kept);
  await store[Symbol.asyncDispose]();
  await writeFile(join(folder, `${kept.id}.json`), '{"id":');
  expect(await store.get(kept.id)).toBeUndefined();
  expect(told).toHaveLength(1);
});
