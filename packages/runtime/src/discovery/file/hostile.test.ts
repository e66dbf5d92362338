import { execFileSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import type { FSWatcher } from 'node:fs';
import { mkdir, mkdtemp, open, rename, rm, rmdir, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { notebook } from '../../testing/notebook.ts';
import type { DiscoveryChange } from '../discovery.ts';
import type { OpenNotices } from './folder-watch.ts';
import { file } from './index.ts';

/** A discovery folder, two processes' views of it, and what the second has logged. */
async function stage(options: { notices?: OpenNotices; ttlMs?: number } = {}) {
  await using undo = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-file-'));
  undo.defer(() => rm(root, { recursive: true, force: true }));
  const instances = join(root, 'v1/instances');
  await mkdir(instances, { recursive: true });
  const { lines, log } = notebook();
  const writer = undo.use(await file({ root, log: notebook().log }));
  const reader = undo.use(await file({ root, log, ...options }));
  const kept = undo.move();
  return { root, instances, writer, reader, lines, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

const value = '{"type":"Endpoint"}';
const record = (key: string) => ({ bucket: 'v1/instances' as const, key, value });

/** The keys that a watch shows, kept up to date until it is disposed. */
function follow(changes: (signal: AbortSignal) => AsyncIterable<DiscoveryChange>) {
  const stop = new AbortController();
  const keys = new Set<string>();
  const ended = (async () => {
    for await (const change of changes(stop.signal)) {
      if (change.type === 'snapshot') for (const found of change.records) keys.add(found.key);
      else if (change.type === 'put') keys.add(change.record.key);
      else keys.delete(change.key);
    }
  })();
  return {
    keys,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

const hostile: [string, (folder: string) => Promise<void>][] = [
  ['a record that is cut off', (folder) => writeFile(join(folder, 'x'), '{"type":"Endp')],
  ['an empty file', (folder) => writeFile(join(folder, 'x'), '')],
  ['bytes', (folder) => writeFile(join(folder, 'x'), Buffer.from([0xff, 0x00, 0x7b, 0x22]))],
  ['JSON that is no record', (folder) => writeFile(join(folder, 'x'), '[{"type":"Endpoint"}]')],
  ['deeply nested JSON', (folder) => writeFile(join(folder, 'x'), '['.repeat(1_000_000))],
  ['a folder', async (folder) => void (await mkdir(join(folder, 'x')))],
  ['a pipe that nobody writes', async (folder) => void execFileSync('sh', ['-c', 'mkfifo "$1"', 'sh', join(folder, 'x')])],
  [
    'a file of 3 GiB',
    async (folder) => {
      await using large = await open(join(folder, 'x'), 'w');
      await large.truncate(3 * 1024 ** 3);
    },
  ],
  ['a name that is no key', (folder) => writeFile(join(folder, 'not-a%2Key'), value)],
];

test.each(hostile)('%s is ignored with one line, and the records beside it are seen', async (_name, put) => {
  await using at = await stage();
  await using watch = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
  await put(at.instances);
  await at.writer.put(record('good/1'));
  await expect.poll(() => [...watch.keys]).toEqual(['good/1']);
  for (let look = 0; look < 3; look++) expect(await at.reader.list({ bucket: 'v1/instances' })).toEqual([record('good/1')]);
  expect(at.lines).toHaveLength(1);
});

test('garbage in the place of a record takes that record away and no other, until it is whole again', async () => {
  await using at = await stage();
  await using watch = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
  await at.writer.put(record('one'));
  await at.writer.put(record('two'));
  await expect.poll(() => [...watch.keys].sort()).toEqual(['one', 'two']);
  await writeFile(join(at.instances, 'one'), '{"type":');
  await expect.poll(() => [...watch.keys]).toEqual(['two']);
  await writeFile(join(at.instances, 'one'), value);
  await expect.poll(() => [...watch.keys].sort()).toEqual(['one', 'two']);
  expect(at.lines).toEqual(['ignored a discovery file that is no record']);
});

test('old rubbish that can not be deleted costs one line', async () => {
  await using at = await stage({ ttlMs: 300 });
  await mkdir(join(at.instances, 'dir'));
  await writeFile(join(at.instances, 'dead'), value);
  const past = new Date(Date.now() - 60_000);
  await Promise.all(['dir', 'dead'].map((name) => utimes(join(at.instances, name), past, past)));
  await at.reader.list({ bucket: 'v1/instances' });
  await expect.poll(async () => (await at.writer.list({ bucket: 'v1/instances' })).length, { timeout: 4_000 }).toBe(0);
  expect(at.lines).toEqual([]);
});

const emfile = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
const failing: [string, OpenNotices][] = [
  [
    'are refused',
    () => {
      throw emfile;
    },
  ],
  [
    'break off',
    () => {
      const notices = Object.assign(new EventEmitter(), { close: () => {}, ref: () => notices, unref: () => notices }) as unknown as FSWatcher;
      setTimeout(() => notices.emit('error', emfile), 10);
      return notices;
    },
  ],
];
test.each(failing)("where the kernel's notices %s, the folder is polled", async (_name, notices) => {
  await using at = await stage({ notices });
  await using watch = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
  await using second = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
  await expect.poll(() => at.lines).toEqual(['polls the discovery folder']);
  const put = await at.writer.put(record('late'));
  await expect.poll(() => [[...watch.keys], [...second.keys]], { timeout: 1_500 }).toEqual([['late'], ['late']]);
  await put[Symbol.asyncDispose]();
  await expect.poll(() => [watch.keys.size, second.keys.size], { timeout: 1_500 }).toEqual([0, 0]);
  expect(at.lines).toHaveLength(1);
});

test('watches of one bucket share one watcher, which goes with the last of them', async () => {
  let open = 0;
  const counting: OpenNotices = (path, onChange) => {
    open++;
    const notices = Object.assign(new EventEmitter(), { close: () => void open--, path, onChange });
    return notices as unknown as FSWatcher;
  };
  await using at = await stage({ notices: counting });
  {
    await using first = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
    await using second = follow((signal) => at.reader.watch({ bucket: 'v1/instances', prefix: 'n' }, { signal }));
    await expect.poll(() => open).toBe(1);
    expect([first.keys.size, second.keys.size]).toEqual([0, 0]);
  }
  expect(open).toBe(0);
});

test('a folder that can not be read keeps the watch alive with what it knew', async () => {
  await using at = await stage();
  // The folder is a link, so that it can be made unreadable and readable again in one step.
  const [folder, stray, link] = ['folder', 'stray', 'link'].map((name) => join(at.root, name)) as [string, string, string];
  await mkdir(folder);
  await writeFile(stray, '');
  const pointTo = async (target: string): Promise<void> => {
    await symlink(target, link);
    await rename(link, at.instances);
  };
  await rmdir(at.instances);
  await pointTo(folder);
  await using watch = follow((signal) => at.reader.watch({ bucket: 'v1/instances' }, { signal }));
  await at.writer.put(record('one'));
  await expect.poll(() => [...watch.keys]).toEqual(['one']);
  await pointTo(stray);
  await expect.poll(() => at.lines, { timeout: 3_000 }).toContain('could not look at the discovery folder');
  await expect(at.reader.list({ bucket: 'v1/instances' })).rejects.toMatchObject({ code: 'unavailable' });
  expect([...watch.keys]).toEqual(['one']);
  await pointTo(folder);
  await at.writer.put(record('two'));
  await expect.poll(() => [...watch.keys].sort(), { timeout: 4_000 }).toEqual(['one', 'two']);
  expect(at.lines.filter((line) => line === 'could not look at the discovery folder')).toHaveLength(1);
});

test('a root that can not be made is a typed error, and the next try may succeed', async () => {
  const root = join(await mkdtemp(join(tmpdir(), 'dynamo-file-')), 'taken');
  await writeFile(root, '');
  await using discovery = await file({ root, log: notebook().log });
  const failed = { code: 'unavailable', message: expect.stringContaining(root) };
  await expect(discovery.put(record('one'))).rejects.toMatchObject(failed);
  await expect(discovery.list({ bucket: 'v1/instances' })).rejects.toMatchObject(failed);
  await rm(root);
  await discovery.put(record('one'));
  expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([record('one')]);
});
