import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeMsgpack } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPython, freePort, scene, startFrontend, startOurFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const main = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
const blockSize = 16;

type Which = 'real' | 'our';

/** The command `dynamo mocker`, the real one or ours, with the same flags. */
function startMockers(which: Which, env: Record<string, string>, more: readonly string[]): AsyncDisposable {
  const args = ['--model-path', tiny, '--model-name', 'mock', '--speedup-ratio', '10', '--block-size', String(blockSize), ...more];
  const command = which === 'real' ? ['-m', 'dynamo.mocker', ...args] : ['--conditions=@dynamo/source', main, 'mocker', ...args];
  const child: ChildProcess = spawn(which === 'real' ? python : process.execPath, command, {
    env: { ...process.env, ...env, HF_HUB_OFFLINE: '1' },
    stdio: process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore',
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}

const start = (which: Which, env: Record<string, string>, port: number): Promise<{ url: string } & AsyncDisposable> => {
  const options = { port, env, args: ['--router-mode', 'kv'] };
  return which === 'real' ? startFrontend(python, options) : startOurFrontend(options);
};

interface Told {
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
  readonly finish: string;
}

async function ask(address: string, prompt: readonly number[]): Promise<Told> {
  const response = await fetch(`${address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'mock', prompt, max_tokens: 5 }),
  });
  const { choices, usage } = (await response.json()) as { choices: { finish_reason: string }[]; usage: any };
  const details = usage.prompt_tokens_details ?? {};
  return {
    prompt: usage.prompt_tokens,
    completion: usage.completion_tokens,
    cached: details.cached_tokens ?? 0,
    finish: choices[0]?.finish_reason ?? '',
  };
}

const scrape = async (address: string): Promise<string> => (await fetch(`${address}/metrics`)).text();
/** Parts of prompts that routers expected to be cached: the sum over all requests. */
async function predicted(address: string): Promise<number> {
  const sums = [...(await scrape(address)).matchAll(/^dynamo_component_router_kv_hit_rate_sum\{.*\} ([\d.e+-]+)$/gm)];
  return sums.reduce((sum, [, value]) => sum + Number(value), 0);
}
const models = async (address: string): Promise<any[]> => ((await (await fetch(`${address}/v1/models`)).json()) as { data: any[] }).data;
const prompt = (number: number): number[] => Array.from({ length: 10 * blockSize + 1 }, (_, at) => (number * 83 + at * 7) % 250);

const pairs: [Which, Which][] = [
  ['our', 'real'],
  ['real', 'real'],
  ['our', 'our'],
];

describe.skipIf('missing' in found).each(pairs)('%s mock workers behind the %s frontend, by cache', (mocker, frontend) => {
  const stack = new AsyncDisposableStack();
  let env: Record<string, string>;
  let url: string;
  beforeAll(async () => {
    ({ env } = stack.use(await scene()));
    Object.assign(process.env, env);
    stack.use(startMockers(mocker, env, ['--num-workers', '2']));
    ({ url } = stack.use(await start(frontend, env, await freePort())));
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  test('the model appears', async () => {
    await expect.poll(async () => (await models(url)).map(({ id }) => id), { timeout: 40_000 }).toEqual(['mock']);
  });

  test('an answer, its counts and its end', async () => {
    await expect.poll(() => ask(url, prompt(0)).catch(() => undefined), { timeout: 20_000 }).toBeDefined();
    expect(await ask(url, prompt(1))).toEqual({ prompt: 161, completion: 5, cached: 0, finish: 'length' });
  });

  test('what the router expects of a worker is what the worker has', async () => {
    await ask(url, prompt(2));
    await expect
      .poll(
        async () => {
          const before = await predicted(url);
          const { cached } = await ask(url, prompt(2));
          return { cached, rate: Number(((await predicted(url)) - before).toFixed(3)) };
        },
        { timeout: 10_000 },
      )
      .toEqual({ cached: 160, rate: 0.909 });
  });

  test('a frontend that comes later asks the workers what they hold', async () => {
    await using late = await start(frontend, env, await freePort());
    await expect.poll(() => ask(late.url, prompt(3)).catch(() => undefined), { timeout: 40_000 }).toBeDefined();
    const before = await predicted(late.url);
    expect(await ask(late.url, prompt(2))).toMatchObject({ cached: 160 });
    expect((await predicted(late.url)) - before).toBeCloseTo(0.909, 2);
  });

  test('planners hear of passes, and routers of loads', async () => {
    await using runtime = await DistributedRuntime.connect();
    const scope = { namespace: 'dynamo', component: 'backend', endpoint: 'generate' };
    const heard = new Map<string, any>();
    const stop = new AbortController();
    const listening = ['forward-pass-metrics', 'kv_metrics'].map(async (topic) => {
      for await (const change of runtime.events.subscribe(scope, topic, { signal: stop.signal }))
        if (change.type === 'event') heard.set(topic, decodeMsgpack(change.payload));
    });
    await expect
      .poll(
        async () => {
          await ask(url, prompt(4 + Math.floor(Math.random() * 50)));
          return [...heard.keys()].toSorted();
        },
        { timeout: 20_000 },
      )
      .toEqual(['forward-pass-metrics', 'kv_metrics']);
    stop.abort();
    await Promise.allSettled(listening);
    expect(Object.keys(heard.get('forward-pass-metrics')).length).toBeGreaterThan(5);
    expect(Object.keys(heard.get('kv_metrics')).toSorted()).toEqual(expect.arrayContaining(['dp_rank', 'kv_used_blocks', 'worker_id']));
  });
});

describe.skipIf('missing' in found).each(pairs)('%s prefill and decode workers behind the %s frontend', (mocker, frontend) => {
  test('answer together, and say what the first one had cached', async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    stack.use(startMockers(mocker, env, ['--disaggregation-mode', 'prefill']));
    stack.use(startMockers(mocker, env, ['--disaggregation-mode', 'decode']));
    const { url } = stack.use(await start(frontend, env, await freePort()));
    await expect.poll(() => ask(url, prompt(0)).catch(() => undefined), { timeout: 60_000 }).toMatchObject({ completion: 5, finish: 'length' });
    await expect.poll(() => ask(url, prompt(0)), { timeout: 10_000 }).toEqual({ prompt: 161, completion: 5, cached: 160, finish: 'length' });
    // Of a prompt of whole blocks the last one is never told of.
    const whole = prompt(9).slice(0, 160);
    await ask(url, whole);
    await expect.poll(() => ask(url, whole), { timeout: 10_000 }).toMatchObject({ prompt: 160, cached: 144 });
  }, 100_000);
});
