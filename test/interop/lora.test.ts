import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Frontend, Llm, type ServedModel, type TokenRequest } from '@dynamo/llm';
import { LoraDownloader } from '@dynamo/llm/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findPython, freePort, type Peer, scene, startFrontend, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const moto = spawnSync('python3', ['-c', 'import moto.server, boto3']).status === 0;
if (!moto) console.warn("skipped: an S3 server needs Python's moto[server] and boto3");
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

/** The first letter of a chat's answer, or its status. */
async function chat(url: string, model: string): Promise<string | number> {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] });
  const response = await fetch(`${url}/v1/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
  if (response.status !== 200) return response.status;
  const { choices, model: told } = (await response.json()) as { choices: { message: { content: string } }[]; model: string };
  expect(told).toBe(model);
  return choices[0]?.message.content ?? '';
}

const modelsOf = async (url: string): Promise<string[]> => {
  const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
  return data.map(({ id }) => id).toSorted();
};

const event = (peer: Peer, name: string): Promise<Record<string, unknown>> => {
  return vi.waitFor(() => {
    const line = peer.lines.find((told) => told['event'] === name);
    if (line === undefined) throw new Error(`no ${name} yet`);
    return line;
  }, 50_000);
};

describe.skipIf('missing' in found)('our frontend, a real worker with an adapter', () => {
  const stack = new AsyncDisposableStack();
  let frontend: Frontend;
  let url: string;
  let peer: Peer;

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const runtime = stack.use(await DistributedRuntime.connect());
    frontend = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } }));
    url = frontend.address as string;
    peer = stack.use(startPeer(python, 'py_lora.py', { args: ['l.backend.generate', tiny, 'base', 'My Lora'], env }));
  });
  afterAll(() => stack.disposeAsync());

  test('the adapter is a model, answered by the worker as an adapter', async () => {
    await event(peer, 'ready');
    await expect.poll(() => modelsOf(url), { timeout: 30_000 }).toEqual(['My Lora', 'base']);
    expect([await chat(url, 'base'), await chat(url, 'My Lora')]).toEqual(['b', 'x']);
    const [base, own] = peer.lines.filter((line) => line['event'] === 'request');
    expect(base).toMatchObject({ model: 'base', routing: {} });
    expect(own).toEqual({ ...base, model: 'My Lora', routing: { lora_name: 'My Lora' } });
  });

  test('it goes when the worker unregisters it', async () => {
    peer.child.kill('SIGUSR1');
    await event(peer, 'unregistered');
    await expect.poll(() => modelsOf(url), { timeout: 30_000 }).toEqual(['base']);
    expect([await chat(url, 'base'), await chat(url, 'My Lora')]).toEqual(['b', 404]);
  });
});

describe.skipIf('missing' in found)('the real frontend, our worker with adapters', () => {
  const stack = new AsyncDisposableStack();
  const requests: TokenRequest[] = [];
  let url: string;
  let status: string | undefined;
  let served: ServedModel;
  let folder: string;

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env, { DYN_LORA_ENABLED: 'true' });
    stack.defer(() => void delete process.env['DYN_LORA_ENABLED']);
    folder = await mkdtemp(join(tmpdir(), 'adapter-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'adapter_config.json'), '{}');
    await writeFile(join(folder, 'adapter_model.bin'), 'w');
    const runtime = stack.use(await DistributedRuntime.connect({ system: { host: '127.0.0.1', port: 0 } }));
    status = runtime.statusUrl;
    served = await new Llm(runtime).serve({
      endpoint: 'l.backend.generate',
      model: tiny,
      name: 'base',
      async *engine(request: TokenRequest) {
        requests.push(request);
        yield { tokenIds: [request.routing?.['lora_name'] === undefined ? 98 : 120], finishReason: 'stop' };
      },
      lora: { slots: 2 },
    });
    // A frontend that routes adapters itself looks at who has which.
    const frontend = stack.use(await startFrontend(python, { port: await freePort(), env: { ...env, DYN_LORA_ENABLED: 'true' } }));
    url = frontend.url;
  });
  afterAll(() => stack.disposeAsync());

  test('an adapter of ours is a model there and is answered', async () => {
    await expect.poll(() => modelsOf(url), { timeout: 30_000 }).toEqual(['base']);
    await using added = await served.addLora({ name: 'My Lora', path: folder });
    await expect.poll(() => modelsOf(url), { timeout: 30_000 }).toEqual(['My Lora', 'base']);
    await expect.poll(() => chat(url, 'My Lora'), { timeout: 30_000 }).toBe('x');
    expect(await chat(url, 'base')).toBe('b');
    expect(requests.at(-2)).toEqual({ ...requests.at(-1), model: 'My Lora', routing: { lora_name: 'My Lora' } });
    expect(added).toBeDefined();
  });

  test("it is gone when it is disposed, and comes by the worker's own route", async () => {
    await expect.poll(() => modelsOf(url), { timeout: 30_000 }).toEqual(['base']);
    const body = JSON.stringify({ lora_name: 'two', source: { uri: `file://${folder}` } });
    const loaded = await fetch(`${status}/v1/loras`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect(await loaded.json()).toMatchObject({ status: 'success', lora_name: 'two' });
    await expect.poll(() => chat(url, 'two'), { timeout: 30_000 }).toBe('x');
    expect(await (await fetch(`${status}/v1/loras/two`, { method: 'DELETE' })).json()).toMatchObject({ status: 'success' });
    await expect.poll(() => chat(url, 'two'), { timeout: 30_000 }).toBe(404);
  });
});

describe.skipIf('missing' in found || !moto)('an object store', () => {
  const stack = new AsyncDisposableStack();
  const uri = 's3://loras/team a/ü';
  let root: string;
  let env: Record<string, string>;

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'loras-'));
    stack.defer(() => rm(root, { recursive: true, force: true }));
    const store = stack.use(startPeer('python3', 'py_store.py', { args: [], env: {} }));
    const { url, id, secret } = (await event(store, 'ready')) as Record<string, string>;
    env = {
      AWS_ENDPOINT: String(url),
      AWS_ACCESS_KEY_ID: String(id),
      AWS_SECRET_ACCESS_KEY: String(secret),
      AWS_ALLOW_HTTP: 'true',
    };
  });
  afterAll(() => stack.disposeAsync());

  /** Every file of an adapter with its text. */
  async function filesOf(path: string): Promise<Record<string, string>> {
    const names = (await readdir(path, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
    const files = names.map(async ({ parentPath, name }) => [
      join(parentPath, name).slice(path.length + 1),
      await readFile(join(parentPath, name), 'utf8'),
    ]);
    return Object.fromEntries((await Promise.all(files)).toSorted()) as Record<string, string>;
  }

  test('our downloader and the real one make the same of it', async () => {
    const ours = new LoraDownloader({ cache: join(root, 'ours'), env });
    const path = await ours.downloadIfNeeded(uri);
    expect(await filesOf(path)).toEqual({
      'adapter_config.json': '{"r":8}',
      'adapter_model.safetensors': 'w'.repeat(200_000),
      'more/plain.json': '{}',
      'more/tokens+1&2 (a).json': '[]',
    });
    expect(path).toBe(join(root, 'ours', 's3__loras_team a_ü'));
    const mine = join(root, 'mine');
    await mkdir(mine, { recursive: true });
    // The real one can't read keys that need a percent, nor those that stand for folders.
    const uris = ['s3://loras/team/v1.2', 's3://loras/none', `file://${mine}`, 'file:///no/such', '/plain', 'gs://a/b'];
    const real = stack.use(startPeer(python, 'py_lora_download.py', { args: [join(root, 'real'), ...uris], env }));
    await real.ended;
    expect(real.lines).toHaveLength(uris.length);
    for (const told of real.lines) {
      const asked = String(told['uri']);
      const made = await ours.downloadIfNeeded(asked).then(
        (given) => ({ path: given.replace(join(root, 'ours'), join(root, 'real')) }),
        (error: Error) => ({ error: error.message }),
      );
      expect({ uri: asked, key: LoraDownloader.uriToCacheKey(asked), ...made, cached: await ours.isCached(asked) }).toEqual(told);
    }
    expect(await filesOf(String(real.lines[0]?.['path']))).toEqual(await filesOf(join(root, 'ours', 's3__loras_team_v1_2')));
  });

  test('a store that checks signatures finds ours right, and refuses another secret and another name', async () => {
    const headers = { 'content-type': 'text/plain' };
    expect((await fetch(`${env['AWS_ENDPOINT']}/moto-api/reset-auth`, { method: 'POST', body: '0', headers })).status).toBe(200);
    const download = (more: Record<string, string>): Promise<string> =>
      new LoraDownloader({ cache: join(root, 'signed'), env: { ...env, ...more } }).downloadIfNeeded('s3://signed');
    await expect(download({ AWS_SECRET_ACCESS_KEY: 'x' })).rejects.toMatchObject({ code: 'unauthenticated' });
    await expect(download({ AWS_ACCESS_KEY_ID: 'x' })).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(await filesOf(await download({}))).toEqual({ 'adapter_config.json': '{}', 'adapter_model.bin': '{}' });
  });
});
