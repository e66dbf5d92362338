import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LoraDownloader } from './downloader.ts';
import { signGet } from './sigv4.ts';
import { startHub } from '../hub/testing/hub-server.ts';
import { openStore, type Store } from './testing/store.ts';

let stack: AsyncDisposableStack;
let root: string;
let store: Store;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  root = await mkdtemp(join(tmpdir(), 'loras-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  store = stack.use(await openStore());
});
afterEach(() => stack.disposeAsync());

const uri = 's3://loras/team a/ü';
const key = LoraDownloader.uriToCacheKey(uri);
const weights = Buffer.alloc(300_000, 'w');

/** An adapter in the store, beside another one whose name begins alike. */
function fill(): void {
  store.objects.set('team a/ü/adapter_config.json', Buffer.from('{"r":8}'));
  store.objects.set('team a/ü/adapter_model.safetensors', weights);
  store.objects.set('team a/ü/more/tokens+1&2.json', Buffer.from('[]'));
  store.objects.set('team a/ü/more/', Buffer.alloc(0));
  store.objects.set('team a/ü2/adapter_config.json', Buffer.from('no'));
}

const downloader = (more: Record<string, string> = {}, stallMs?: number): LoraDownloader =>
  new LoraDownloader({
    cache: join(root, 'cache'),
    env: { ...store.env, ...more },
    internals: { retryMs: 1, ...(stallMs === undefined ? {} : { stallMs }) },
  });

const leftovers = async (): Promise<string[]> => readdir(join(root, 'cache')).catch(() => []);

test('cache keys are those of 1.6.1', () => {
  const keys = JSON.parse(readFileSync(new URL('../../../../vectors/lora-recorder-misc/uri_to_cache_key.json', import.meta.url), 'utf8')) as Record<
    string,
    string
  >;
  for (const [given, expected] of Object.entries(keys)) expect([given, LoraDownloader.uriToCacheKey(given)]).toEqual([given, expected]);
});

test("the cache's folder is where the environment says", () => {
  const cache = (env: Record<string, string>): string => new LoraDownloader({ env }).cache;
  expect(cache({ DYN_LORA_PATH: '/a', HOME: '/h' })).toBe('/a');
  expect(cache({ HOME: '/h', USERPROFILE: '/u' })).toBe('/h/.cache/dynamo_loras');
  expect(cache({ USERPROFILE: '/u' })).toBe('/u/.cache/dynamo_loras');
});

test('a signature is the one of the example in the documentation of S3', () => {
  const headers = signGet(new URL('https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J'), {
    credentials: { accessKey: 'AKIAIOSFODNN7EXAMPLE', secretKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' },
    region: 'us-east-1',
    at: new Date('2013-05-24T00:00:00Z'),
  });
  expect(headers['authorization']).toContain('Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7');
});

test('an adapter comes from a store once, whole and alone', async () => {
  fill();
  const path = await downloader().downloadIfNeeded(uri);
  expect(path).toBe(join(root, 'cache', key));
  expect(await readFile(join(path, 'adapter_model.safetensors'))).toEqual(weights);
  expect(await readFile(join(path, 'more/tokens+1&2.json'), 'utf8')).toBe('[]');
  expect((await readdir(path)).toSorted()).toEqual(['adapter_config.json', 'adapter_model.safetensors', 'more']);
  const asked = store.asked.length;
  expect(await downloader().isCached(uri)).toBe(true);
  expect(await downloader({ AWS_ACCESS_KEY_ID: '' }).downloadIfNeeded(uri)).toBe(path);
  expect(store.asked).toHaveLength(asked);
  expect(await leftovers()).toEqual([key]);
});

test.each([
  ['half', 'disconnected', 'came with|can.t be read'],
  ['other-bytes', 'disconnected', 'came with other bytes than listed'],
  ['error', 'unavailable', 'HTTP 503 SlowDown'],
] as const)('%s: tried thrice, then refused, and nothing stays', async (how, code, message) => {
  fill();
  store.faults.set('team a/ü/adapter_model.safetensors', { how });
  await expect(downloader().downloadIfNeeded(uri)).rejects.toMatchObject({
    code,
    message: expect.stringMatching(new RegExp(`^Download failed: .*(${message})`)),
  });
  expect(store.asked.filter((name) => name.endsWith('safetensors'))).toHaveLength(3);
  expect(await leftovers()).toEqual([]);
  // Twice is not too often.
  store.faults.set('team a/ü/adapter_model.safetensors', { how, times: 2 });
  expect(await readFile(join(await downloader().downloadIfNeeded(uri), 'adapter_model.safetensors'))).toEqual(weights);
});

test('a store that falls silent, and one that takes too long, are given up', async () => {
  fill();
  store.faults.set('team a/ü/adapter_model.safetensors', { how: 'stall' });
  await expect(downloader({}, 50).downloadIfNeeded(uri)).rejects.toMatchObject({
    code: 'deadline_exceeded',
    message: expect.stringContaining('sent nothing'),
  });
  await expect(downloader({ LORA_DOWNLOAD_TIMEOUT_SECS: '0.3' }).downloadIfNeeded(uri)).rejects.toMatchObject({
    code: 'deadline_exceeded',
    message: expect.stringContaining('took longer than 300 ms'),
  });
  expect(await leftovers()).toEqual([]);
});

test('what is no adapter, leads out of its folder or is not there is refused', async () => {
  const refused = (given: string, code: string, message: string, env: Record<string, string> = {}): Promise<void> =>
    expect(downloader(env).downloadIfNeeded(given)).rejects.toMatchObject({ code, message: `Download failed: ${message}` });
  await refused(uri, 'not_found', `LoRA ${uri} not found in any source`);
  store.objects.set('team a/ü/adapter_config.json', Buffer.from('{}'));
  await refused(uri, 'invalid_argument', 'what was downloaded is not a valid LoRA: expected adapter_config.json and adapter weights');
  store.objects.set('team a/ü/../../../escaped', Buffer.from('x'));
  await refused(uri, 'invalid_argument', "object '../../../escaped' leads out of its folder");
  await refused('s3://other/x', 'not_found', 's3://other/x is refused by its store: HTTP 404 NoSuchBucket');
  await refused('s3:///x', 'invalid_argument', "'s3:///x' names no bucket");
  await refused(uri, 'unauthenticated', `${uri} needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`, { AWS_SECRET_ACCESS_KEY: '' });
  await refused(uri, 'unauthenticated', `${uri} is refused by its store: HTTP 403 SignatureDoesNotMatch`, { AWS_SECRET_ACCESS_KEY: 'x' });
  const plain = `AWS_ENDPOINT '${store.env['AWS_ENDPOINT']}' is plain HTTP: set AWS_ALLOW_HTTP=true to allow it`;
  await refused(uri, 'invalid_argument', plain, { AWS_ALLOW_HTTP: '' });
  await refused('gs://x/y', 'not_found', 'LoRA gs://x/y not found in any source');
  await refused('/plain/path', 'not_found', 'LoRA /plain/path not found in any source');
  await refused('file:///no/such', 'not_found', 'Local LoRA not found: file:///no/such');
  await refused('hf://o/n', 'unavailable', 'HF_HUB_OFFLINE is enabled and hf://o/n@main is not fully cached', { HF_HUB_OFFLINE: '1', HF_HOME: root });
  expect(await leftovers()).toEqual([]);
});

test('a folder on this machine is given as it is; a broken entry of the cache is replaced', async () => {
  const folder = join(root, 'mine');
  await mkdir(folder);
  expect(await downloader().downloadIfNeeded(`file://${folder}`)).toBe(folder);
  expect(await downloader().isCached(`file://${folder}`)).toBe(false);
  fill();
  await mkdir(join(root, 'cache', key), { recursive: true });
  await writeFile(join(root, 'cache', key, 'adapter_config.json'), 'half');
  expect(await downloader().validateCached(key)).toBe(false);
  const path = await downloader().downloadIfNeeded(uri);
  expect(await readFile(join(path, 'adapter_config.json'), 'utf8')).toBe('{"r":8}');
  expect(await leftovers()).toEqual([key]);
});

test('an adapter of the hub is kept in its cache, and what is none is refused', async () => {
  const sha = 'a'.repeat(40);
  const files = { 'adapter_config.json': '{}', 'adapter_model.safetensors': 'w' };
  const repos = { 'org/lora': { sha, files }, 'org/model': { sha, files: { 'config.json': '{}' } } };
  const env = { HF_HOME: root, HF_ENDPOINT: '' };
  {
    await using hub = await startHub(repos);
    env.HF_ENDPOINT = hub.url;
    const own = new LoraDownloader({ cache: join(root, 'cache'), env });
    expect(await own.isCached('hf://org/lora')).toBe(false);
    expect((await readdir(await own.downloadIfNeeded('hf://org/lora@main'))).toSorted()).toEqual(Object.keys(files));
    await expect(own.downloadIfNeeded('hf://org/model')).rejects.toMatchObject({
      code: 'invalid_argument',
      message: 'Download failed: hf://org/model is not a valid LoRA: expected adapter_config.json and adapter weights',
    });
    await expect(own.downloadIfNeeded('hf://org/none')).rejects.toMatchObject({ code: expect.stringMatching(/not_found|unauthenticated/) });
  }
  expect(await new LoraDownloader({ cache: join(root, 'cache'), env }).isCached('hf://org/lora')).toBe(true);
  expect(await leftovers()).toEqual([]);
});

test('further schemes have sources of their own', async () => {
  const files = async (_uri: string, folder: string): Promise<string> => {
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, 'adapter_model.bin'), 'w');
    return folder;
  };
  const sources = { gs: { exists: async (given: string) => given !== 'gs://b/none', download: files } };
  const own = new LoraDownloader({ cache: join(root, 'cache'), env: {}, sources });
  expect(await readdir(await own.downloadIfNeeded('gs://b/x'))).toEqual(['adapter_config.json', 'adapter_model.bin']);
  await expect(own.downloadIfNeeded('gs://b/none')).rejects.toMatchObject({
    code: 'not_found',
    message: 'Download failed: LoRA not found at gs://b/none',
  });
});

test('two processes that fetch the same adapter at once both get it whole', async () => {
  fill();
  const script = fileURLToPath(new URL('testing/download-once.ts', import.meta.url));
  const run = async (): Promise<unknown> => {
    const child = fork(script, [join(root, 'cache'), uri], { execArgv: ['--conditions=@dynamo/source'], env: { ...process.env, ...store.env } });
    const [told] = (await once(child, 'message')) as [unknown];
    await once(child, 'exit');
    return told;
  };
  const told = await Promise.all([run(), run()]);
  expect(told).toEqual([{ path: join(root, 'cache', key) }, { path: join(root, 'cache', key) }]);
  expect(await readFile(join(root, 'cache', key, 'adapter_model.safetensors'))).toEqual(weights);
  expect(await leftovers()).toEqual([key]);
});
