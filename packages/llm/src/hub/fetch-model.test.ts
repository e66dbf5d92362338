import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type FetchInternals, fetchModel, type FetchModelOptions, type FetchProgress } from './fetch-model.ts';
import { parseModelId } from './model-id.ts';
import { hubPlace } from './place.ts';
import { type HubServer, startHub } from './testing/hub-server.ts';

const sha = 'c0ffee'.padEnd(40, '0');
/** Two megabytes, so that a cut in the middle leaves pieces that have arrived. */
const big = Buffer.from(Array.from({ length: 1 << 21 }, (_, index) => (index * 7919) >> 3));
const files = {
  'config.json': '{"a":1}',
  'tokenizer.json': big,
  'empty.txt': '',
  'model.safetensors': Buffer.from('weights'),
  'README.md': 'about',
  '.gitattributes': 'x',
  'pic.png': 'x',
  'original/consolidated.00.pth': 'x',
};

let hub: HubServer;
let home: string;
const stack: AsyncDisposableStack[] = [];
beforeEach(async () => {
  const here = new AsyncDisposableStack();
  stack.push(here);
  home = await mkdtemp(join(tmpdir(), 'dynamo-hub-'));
  here.defer(() => rm(home, { recursive: true, force: true }));
  hub = here.use(
    await startHub({
      'org/tiny': { sha, files, large: ['tokenizer.json', 'model.safetensors'], revisions: ['refs/pr/1', 'v1'] },
      'org/secret': { sha, files, token: 'hf_key' },
      'org/gated': { sha, files, token: 'hf_key', gated: true },
      'org/climber': { sha, files: { '../../escaped': 'x' } },
    }),
  );
});
afterEach(() => stack.pop()?.disposeAsync());

const env = (more: Record<string, string> = {}): Record<string, string> => ({ HF_ENDPOINT: hub.url, HF_HOME: home, ...more });
const quick: FetchInternals = { retryMs: 1, idleMs: 20_000 };
const get = (
  source: string,
  options: FetchModelOptions = {},
  more: { env?: Record<string, string>; internals?: FetchInternals } = {},
): Promise<string> => fetchModel(source, hubPlace(env(more.env)), options, { ...quick, ...more.internals });
const parts = async (): Promise<string[]> =>
  (await readdir(join(home, 'hub/models--org--tiny/blobs')).catch(() => [])).filter((name) => name.endsWith('dynamo-part'));
const downloads = (): string[] => hub.requests.filter((line) => line.startsWith('GET') && !line.includes('/api/'));

test('a model is fetched once: without weights, folders, pictures and hidden files; the second time nothing is downloaded', async () => {
  const seen: FetchProgress[] = [];
  const path = await get('org/tiny', { onProgress: (progress) => seen.push(progress) });
  expect(path).toBe(join(home, 'hub/models--org--tiny/snapshots', sha));
  expect((await readdir(path)).toSorted()).toEqual(['config.json', 'empty.txt', 'tokenizer.json']);
  expect((await readFile(join(path, 'tokenizer.json'))).equals(big)).toBe(true);
  expect(await readlink(join(path, 'config.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{40}$/);
  expect(await readlink(join(path, 'tokenizer.json'))).toMatch(/^\.\.\/\.\.\/blobs\/[0-9a-f]{64}$/);
  expect(await readFile(join(home, 'hub/models--org--tiny/refs/main'), 'utf8')).toBe(sha);
  expect(seen.at(-1)).toMatchObject({ receivedBytes: big.length + 7, totalBytes: big.length + 7 });
  expect(seen.map(({ receivedBytes }) => receivedBytes)).toEqual(seen.map(({ receivedBytes }) => receivedBytes).toSorted((a, b) => a - b));
  const before = downloads().length;
  expect(await get('hf://org/tiny@main')).toBe(path);
  expect(downloads()).toHaveLength(before);
  expect(await parts()).toEqual([]);
});

test('weights come when they are asked for', async () => {
  const path = await get('org/tiny', { weights: true });
  expect(await readFile(join(path, 'model.safetensors'), 'utf8')).toBe('weights');
});

test('one file comes alone, and is found again offline', async () => {
  const path = await get('org/tiny', { file: 'model.safetensors' });
  expect(await readdir(path)).toEqual(['model.safetensors']);
  expect(await get('org/tiny', { file: 'model.safetensors' }, { env: { HF_HUB_OFFLINE: '1' } })).toBe(path);
  await expect(get('org/tiny', { file: 'config.json' }, { env: { HF_HUB_OFFLINE: '1' } })).rejects.toMatchObject({ code: 'unavailable' });
  await expect(get('org/tiny', { file: 'none.gguf' })).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('no file none.gguf'),
  });
});

test('a folder is itself, whatever the hub has', async () => {
  await mkdir(join(home, 'here'));
  expect(await get(join(home, 'here'))).toBe(join(home, 'here'));
  expect(hub.requests).toEqual([]);
  for (const wrong of ['./missing', '/missing/model', '../no-such-model-folder', 'a/b/c', 'org/na--me', '', 'org/..', 'org/tiny@../x'])
    await expect(get(wrong), wrong).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('neither a folder') });
});

test('revisions by branch, tag and commit', async () => {
  const path = join(home, 'hub/models--org--tiny/snapshots', sha);
  for (const revision of ['refs/pr/1', 'v1', sha]) expect(await get(`org/tiny@${revision}`)).toBe(path);
  expect(await readFile(join(home, 'hub/models--org--tiny/refs/refs/pr/1'), 'utf8')).toBe(sha);
  await expect(get('org/tiny@v9')).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('no such revision') });
  expect(parseModelId('gpt2')).toEqual({ repo: 'gpt2', revision: 'main' });
});

test('offline and with a dead hub the cache serves, and what it lacks is said', async () => {
  const offline = { env: { HF_HUB_OFFLINE: '1' } };
  await expect(get('org/tiny', {}, offline)).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('HF_HUB_OFFLINE') });
  const dead = { env: { HF_ENDPOINT: 'http://127.0.0.1:1' } };
  await expect(get('org/tiny', {}, dead)).rejects.toMatchObject({ code: 'cannot_connect', message: expect.stringContaining('http://127.0.0.1:1') });
  const path = await get('org/tiny');
  hub.requests.length = 0;
  for (const where of [offline, dead]) expect(await get('org/tiny', {}, where)).toBe(path);
  await expect(get('org/tiny', { weights: true }, offline)).rejects.toMatchObject({ code: 'unavailable' });
  await writeFile(join(path, 'model.safetensors.index.json'), '{"weight_map":{"a":"model.safetensors","b":"gone.safetensors"}}');
  await get('org/tiny', { weights: true });
  await expect(get('org/tiny', { weights: true }, offline)).rejects.toMatchObject({ code: 'unavailable' });
  expect(hub.requests.filter((line) => line.includes('/api/'))).toHaveLength(1);
});

describe('refusals', () => {
  test.each([
    ['org/nobody', undefined, 'unauthenticated'],
    ['org/nobody', 'hf_key', 'not_found'],
    ['org/secret', undefined, 'unauthenticated'],
    ['org/gated', undefined, 'unauthenticated'],
    ['org/gated', 'hf_wrong', 'permission_denied'],
    ['org/climber', undefined, 'backend_protocol'],
  ])('%s with token %s is %s', async (source, token, code) => {
    await expect(get(source, {}, { env: token === undefined ? {} : { HF_TOKEN: token } })).rejects.toMatchObject({ code });
    await expect(readdir(join(home, 'escaped'))).rejects.toThrow();
  });

  test('the token of a login opens a gated model and does not reach the storage', async () => {
    await writeFile(join(home, 'token'), 'hf_key\n');
    hub.repos.set('org/gated', { sha, files, token: 'hf_key', gated: true, large: ['tokenizer.json'] });
    await get('org/gated');
    expect(downloads().some((line) => line.startsWith('GET storage'))).toBe(true);
    expect(hub.leaked).toEqual([]);
  });
});

describe('a connection that breaks off', () => {
  test('the download goes on where it ended, again and again', async () => {
    let cuts = 0;
    hub.faults.cut = (path) => (path === 'tokenizer.json' && ++cuts < 5 ? 400_000 : undefined);
    const path = await get('org/tiny');
    expect((await readFile(join(path, 'tokenizer.json'))).equals(big)).toBe(true);
    expect(downloads().filter((line) => line.includes('storage bytes=')).length).toBeGreaterThan(2);
    expect(await parts()).toEqual([]);
  });

  test('a storage without ranges is asked for the whole again', async () => {
    let cuts = 0;
    Object.assign(hub.faults, { ignoreRange: true, cut: (path: string) => (path === 'tokenizer.json' && ++cuts < 3 ? 100_000 : undefined) });
    const seen: number[] = [];
    const path = await get('org/tiny', { onProgress: ({ receivedBytes }) => seen.push(receivedBytes) });
    expect((await readFile(join(path, 'tokenizer.json'))).equals(big)).toBe(true);
    expect(seen.at(-1)).toBe(big.length + 7);
  });

  test('one that brings nothing any more is an error, and what came before is kept for the next time', async () => {
    let cuts = 0;
    hub.faults.cut = (path) => (path === 'tokenizer.json' ? (cuts++ === 0 ? 500_000 : 0) : undefined);
    await expect(get('org/tiny')).rejects.toMatchObject({ code: 'disconnected' });
    expect(await parts()).toEqual([expect.stringMatching(/^[0-9a-f]{64}\.dynamo-part$/)]);
    // A process that was killed leaves a file with its own id.
    const blobs = join(home, 'hub/models--org--tiny/blobs');
    const [left = ''] = await parts();
    const child = spawn(process.execPath, ['-e', '']);
    await once(child, 'exit');
    const { hostname } = await import('node:os');
    await rename(
      join(blobs, left),
      join(blobs, left.replace('.dynamo-part', `.${hostname().replace(/[^\w-]/g, '_')}.${child.pid}.0a1b2c3d.dynamo-part`)),
    );
    delete hub.faults.cut;
    hub.requests.length = 0;
    await get('org/tiny');
    expect(downloads().filter((line) => line.startsWith('GET storage'))).toEqual([expect.stringMatching(/bytes=[1-9]\d*-$/)]);
    expect(await parts()).toEqual([]);
  });

  test('cancelled, it stops and can go on later', async () => {
    const stop = new AbortController();
    const reading = get('org/tiny', {
      signal: stop.signal,
      onProgress: ({ file, receivedBytes }) => {
        if (file === 'tokenizer.json' && receivedBytes > 100_000) stop.abort();
      },
    });
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    expect((await readFile(join(await get('org/tiny'), 'tokenizer.json'))).equals(big)).toBe(true);
  });
});

test('wrong bytes are never shown under the name of right ones', async () => {
  hub.faults.corrupt = (path) => (path === 'tokenizer.json' ? Buffer.alloc(big.length) : undefined);
  await expect(get('org/tiny')).rejects.toMatchObject({ code: 'stream_incomplete', data: { path: 'tokenizer.json' } });
  const blobs = join(home, 'hub/models--org--tiny/blobs');
  expect((await readdir(blobs)).filter((name) => name.length === 64)).toEqual([]);
  delete hub.faults.corrupt;
  await get('org/tiny');
});

test('a disk without room or rights is named before a byte is lost', async () => {
  await expect(get('org/tiny', {}, { internals: { freeBytes: async () => 1_000 } })).rejects.toMatchObject({
    code: 'resource_exhausted',
    message: expect.stringContaining('the disk is full'),
  });
  expect(downloads()).toEqual([]);
  if (process.getuid?.() === 0) return;
  await mkdir(join(home, 'hub'));
  await chmod(join(home, 'hub'), 0o500);
  await expect(get('org/tiny')).rejects.toMatchObject({ code: 'permission_denied' });
});

test('two processes and two calls fetch at once, and all find the whole model', async () => {
  const script = fileURLToPath(new URL('testing/fetch-once.ts', import.meta.url));
  const run = async (): Promise<string> => {
    const child = spawn(process.execPath, ['--conditions=@dynamo/source', script, 'org/tiny'], {
      env: { ...process.env, ...env() },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    for await (const piece of child.stdout.setEncoding('utf8') as AsyncIterable<string>) text += piece;
    return text;
  };
  const paths = await Promise.all([run(), run(), get('org/tiny'), get('org/tiny')]);
  expect(new Set(paths)).toEqual(new Set([join(home, 'hub/models--org--tiny/snapshots', sha)]));
  expect((await readFile(join(paths[0], 'tokenizer.json'))).equals(big)).toBe(true);
  expect(await parts()).toEqual([]);
});
