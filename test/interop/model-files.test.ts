import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fetchModel, hubPlace } from '@dynamo/llm/internal';
import { Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type HubServer, startHub } from '../../packages/llm/src/hub/testing/hub-server.ts';
import { freeStatusPort } from './mocker.ts';
import { findPython, freePort, scene, startFrontend, startOurFrontend, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const sha = 'b'.repeat(40);

const post = async (url: string, model: string): Promise<string> => {
  const answer = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt: 'x', max_tokens: 5 }),
  });
  return ((await answer.json()) as { choices?: { text: string }[] }).choices?.[0]?.text ?? String(answer.status);
};

describe.skipIf('missing' in found)("a hub's cache and a model's files, shared with Python", () => {
  const stack = new AsyncDisposableStack();
  let hub: HubServer;
  beforeAll(async () => {
    const files = {
      ...Object.fromEntries(readdirSync(tiny).map((name) => [name, readFileSync(join(tiny, name))])),
      'model.safetensors': 'w',
      'x.png': 'x',
    };
    hub = stack.use(await startHub({ 'org/tiny': { sha, files, large: ['tokenizer.json', 'model.safetensors'], revisions: ['v1'] } }));
  });
  afterAll(() => stack.disposeAsync());

  const folder = (): string => {
    const path = mkdtempSync(join(tmpdir(), 'dynamo-hub-'));
    stack.defer(() => rmSync(path, { recursive: true, force: true }));
    return path;
  };
  const run = (code: string, env: Record<string, string>): Promise<string> =>
    new Promise((resolve) => {
      // Beside this process, which plays the hub.
      execFile(python, ['-c', code], { env: { ...process.env, ...env } }, (_error, stdout, stderr) =>
        resolve(stdout.trim().split('\n').at(-1) || stderr),
      );
    });

  test('what we have fetched Python finds, and finds in order', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HOME: folder() };
    const path = await fetchModel('org/tiny@v1', hubPlace(env), { weights: true });
    await fetchModel('org/tiny', hubPlace(env));
    const offline = { ...env, HF_HUB_OFFLINE: '1' };
    expect(await run("from huggingface_hub import snapshot_download as s; print(s('org/tiny', local_files_only=True))", offline)).toBe(path);
    expect(await run("from huggingface_hub import snapshot_download as s; print(s('org/tiny', revision='v1'))", offline)).toBe(path);
    expect(
      await run(
        'from huggingface_hub import scan_cache_dir as s; i = s(); print(len(i.warnings), [(r.repo_id, r.nb_files, sorted(r.refs)) for r in i.repos])',
        offline,
      ),
    ).toBe(`0 [('org/tiny', 5, ['main', 'v1'])]`);
    expect(
      await run("import asyncio\nfrom dynamo.llm import fetch_model\nasync def m(): print(await fetch_model('org/tiny'))\nasyncio.run(m())", offline),
    ).toBe(path);
    // And it has nothing to download again.
    hub.requests.length = 0;
    expect(await run("from huggingface_hub import snapshot_download as s; print(s('org/tiny', ignore_patterns=['*.png']))", env)).toBe(path);
    expect(hub.requests.filter((line) => line.startsWith('GET') && !line.includes('/api/'))).toEqual([]);
  });

  test('what Python has fetched we find, and download nothing again', async () => {
    const env = { HF_ENDPOINT: hub.url, HF_HOME: folder(), HF_HUB_DISABLE_XET: '1' };
    const path = await run("from huggingface_hub import snapshot_download as s; print(s('org/tiny'))", env);
    expect(path).toContain(sha);
    expect(await fetchModel('org/tiny', hubPlace({ ...env, HF_HUB_OFFLINE: '1' }), { weights: true })).toBe(path);
    hub.requests.length = 0;
    expect(await fetchModel('org/tiny', hubPlace(env), { weights: true })).toBe(path);
    expect(hub.requests).toEqual(['GET /api/models/org/tiny/revision/main']);
  });

  test.each([
    ['named on the hub', true],
    ['handed out by the worker itself', false],
  ])('a real worker whose files are %s answers behind our frontend, which has none', async (_how, hosted) => {
    await using here = new AsyncDisposableStack();
    const { env, root } = here.use(await scene());
    const hubEnv = { HF_ENDPOINT: hub.url, HF_HUB_DISABLE_XET: '1' };
    const system = hosted ? {} : { DYN_SYSTEM_PORT: String(await freeStatusPort()), DYN_SYSTEM_HOST: '127.0.0.1' };
    const worker = here.use(
      startPeer(python, 'py_model.py', {
        args: [JSON.stringify([{ endpoint: 'ns.backend.generate', model: hosted ? 'org/tiny' : tiny, name: 'far' }])],
        env: { ...env, ...hubEnv, ...system, HF_HOME: folder() },
      }),
    );
    await expect.poll(() => worker.lines, { timeout: 40_000 }).toContainEqual({ event: 'ready' });
    const home = folder();
    const frontend = here.use(await startOurFrontend({ port: await freePort(), env: { ...env, ...hubEnv, HF_HOME: home, HF_HUB_OFFLINE: '0' } }));
    await expect.poll(() => post(frontend.url, 'far'), { timeout: 30_000 }).toBe('hi');
    // A card with local paths would have been served as well.
    const [card = ''] = readdirSync(join(root, 'v1/mdc')).map((name) => readFileSync(join(root, 'v1/mdc', name), 'utf8'));
    expect(card).toContain(hosted ? '"hf://org/tiny/config.json"' : '/v1/metadata/ns/backend/generate/far/_base/config.json"');
    expect(readdirSync(home)).toEqual(hosted ? ['hub'] : []);
  });

  test('our worker hands its files to the real frontend, which has none', async () => {
    await using here = new AsyncDisposableStack();
    const { env } = here.use(await scene());
    Object.assign(process.env, env);
    const runtime = here.use(await DistributedRuntime.connect({ system: { port: 0, host: '127.0.0.1' } }));
    await new Llm(runtime).serve({
      endpoint: 'ns.backend.generate',
      model: tiny,
      name: 'far',
      engine: async function* () {
        yield { tokenIds: [104, 105], finishReason: 'stop' as const };
      },
    });
    const home = folder();
    const frontend = here.use(await startFrontend(python, { port: await freePort(), env: { ...env, HOME: home } }));
    await expect.poll(() => post(frontend.url, 'far'), { timeout: 30_000 }).toBe('hi');
    expect(readdirSync(join(home, '.cache/dynamo/mdc/by-slug'))).toEqual(['far']);
  });
});
