import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPython, freePort, scene, startFrontend, startOurFrontend } from './python.ts';
import { type StandInEngine, standInEngine } from './stand-in-engine.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const main = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));

/** A real vLLM server and its event address: `VLLM_URL=http://… VLLM_EVENTS=tcp://…`, started with `--enable-prompt-tokens-details`. */
const vllm = { url: process.env['VLLM_URL'] ?? '', events: process.env['VLLM_EVENTS'] ?? '' };
// Gigabytes of an engine are no part of the suite: these tests exist where somebody names a server, and only there.
if (vllm.url === '') console.warn('not run: a real vLLM server behind both frontends, for which VLLM_URL is not set');

/** `dynamo worker --engine openai` in a process of its own. */
function startWorker(upstreams: readonly { url: string; events: string }[], env: Record<string, string>): AsyncDisposable {
  const flags = upstreams.flatMap(({ url, events }) => ['--upstream', url, '--kv-events', events]);
  const child: ChildProcess = spawn(process.execPath, ['--conditions=@dynamo/source', main, 'worker', '--engine', 'openai', ...flags], {
    env: { ...process.env, ...env },
    stdio: process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

interface Answer {
  readonly text: string;
  readonly worker: string;
  readonly prompt: number;
  readonly cached: number;
}

async function ask(address: string, model: string, prompt: readonly number[]): Promise<Answer> {
  const response = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, prompt, max_tokens: 4, temperature: 0, nvext: { extra_fields: ['worker_id'] } }),
  });
  const body = await response.text();
  const { choices, usage } = JSON.parse(body) as { choices: { text: string }[]; usage: any };
  return {
    text: choices[0]?.text ?? '',
    worker: /"decode_worker_id":(\d+)/.exec(body)?.[1] ?? body,
    prompt: usage.prompt_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

/** Blocks that the frontend's router expected to be cached, of all requests so far, in parts of each prompt. */
async function predicted(address: string): Promise<number> {
  const text = await (await fetch(`${address}/metrics`)).text();
  const sums = [...text.matchAll(/^dynamo_component_router_kv_hit_rate_sum\{.*\} ([\d.e+-]+)$/gm)];
  return sums.reduce((sum, [, value]) => sum + Number(value), 0);
}

const listed = async (address: string): Promise<string> => (await fetch(`${address}/v1/models`)).text();
const start = (which: 'real' | 'our', env: Record<string, string>, port: number): Promise<{ url: string } & AsyncDisposable> => {
  const options = { port, env, args: ['--router-mode', 'kv'] };
  return which === 'real' ? startFrontend(python, options) : startOurFrontend(options);
};

describe.skipIf('missing' in found).each(['real', 'our'] as const)('plain OpenAI servers behind the %s frontend, by cache', (which) => {
  const stack = new AsyncDisposableStack();
  const engines: StandInEngine[] = [];
  let url: string;
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    for (let count = 0; count < 2; count++) engines.push(stack.use(await standInEngine({ name: 'plain', folder: tiny })));
    stack.use(startWorker(engines, env));
    ({ url } = stack.use(await start(which, env, await freePort())));
  }, 90_000);
  afterAll(() => stack.disposeAsync());

  test('both appear', async () => {
    await expect.poll(() => listed(url), { timeout: 40_000 }).toContain('"plain"');
    // Both upstreams are there once both have answered.
    await expect
      .poll(
        async () => {
          await ask(url, 'plain', [Math.floor(Math.random() * 250), 1, 2]);
          return engines.every(({ answered }) => answered > 0);
        },
        { timeout: 40_000 },
      )
      .toBe(true);
  });

  test('prompts go as token ids, and come back', async () => {
    expect(await ask(url, 'plain', [...Buffer.from('hello')])).toMatchObject({ text: 'hell', prompt: 5, cached: 0 });
  });

  test('a prompt returns to where it is cached, and what the router expects is what the engine reports', async () => {
    for (let conversation = 0; conversation < 4; conversation++) {
      const prompt = Array.from({ length: 16 * 10 + 1 }, (_, at) => (conversation * 61 + at * 7) % 250);
      const first = await ask(url, 'plain', prompt);
      expect(first.cached).toBe(0);
      const before = await predicted(url);
      // The event of the first answer is on its way.
      await expect
        .poll(
          async () => {
            const seen = await predicted(url);
            const again = await ask(url, 'plain', prompt);
            return { ...again, rate: Number(((await predicted(url)) - seen).toFixed(6)) };
          },
          { timeout: 10_000 },
        )
        .toMatchObject({ worker: first.worker, cached: 160, rate: expect.closeTo(160 / 176, 2) });
      expect(await predicted(url)).toBeGreaterThan(before);
    }
  });

  test('whoever leaves ends the request at the engine', async () => {
    const leaving = new AbortController();
    const response = await fetch(`${url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'plain', prompt: 'leave', max_tokens: 4_000, stream: true }),
      signal: leaving.signal,
    });
    await response.body?.getReader().read();
    leaving.abort();
    await expect.poll(() => engines.reduce((sum, { left }) => sum + left, 0), { timeout: 10_000 }).toBe(1);
  });
});

describe.skipIf('missing' in found).each(vllm.url === '' ? [] : (['real', 'our'] as const))('a real vLLM server behind the %s frontend', (which) => {
  test('hits that are predicted are hits that are reported', async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    stack.use(startWorker([vllm], env));
    const { url } = stack.use(await start(which, env, await freePort()));
    await expect.poll(() => listed(url), { timeout: 40_000 }).toContain('"id":');
    const model = (JSON.parse(await listed(url)) as { data: { id: string }[] }).data[0]?.id ?? '';
    // New to the server, whatever it was asked before; 7 blocks of 32 and a rest.
    const begin = 1_000 + Math.floor(Math.random() * 50_000);
    const prompt = Array.from({ length: 7 * 32 + 5 }, (_, at) => begin + at);
    expect((await ask(url, model, prompt)).cached).toBe(0);
    await expect
      .poll(
        async () => {
          const seen = await predicted(url);
          const { cached } = await ask(url, model, prompt);
          return { cached, rate: Number(((await predicted(url)) - seen).toFixed(4)) };
        },
        { timeout: 20_000 },
      )
      // The rate counts the begun block as one that is not there.
      .toEqual({ cached: 224, rate: 0.875 });
  }, 120_000);
});
