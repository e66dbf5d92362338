import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findPython, freePort, scene, startFrontend } from './python.ts';
import { realModel } from './real-model.ts';

const found = findPython();
const main = fileURLToPath(new URL('../../tools/cli/src/main.ts', import.meta.url));
const cache = mkdtempSync(join(tmpdir(), 'dynamo-real-model-'));
afterAll(() => rmSync(cache, { recursive: true }));
const environment = (env: Record<string, string>): NodeJS.ProcessEnv => ({
  ...process.env,
  ...env,
  DYN_LLAMA_FOLDER: realModel?.folder,
  XDG_CACHE_HOME: cache,
});

/** A command in a process of its own, and what it has said. */
function start(args: readonly string[], env: Record<string, string>): { output: () => string; child: ChildProcess } & AsyncDisposable {
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', main, ...args], {
    env: environment(env),
    stdio: ['ignore', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (more: string) => (text += more));
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    child,
    output: () => text,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

const size = ['--context-length', '512', '--sequences', '2'];

/** Two workers behind a frontend that routes by cache; gives its address. */
const fleets = {
  async 'dynamo serve'(stack: AsyncDisposableStack, gguf: string): Promise<string> {
    const flags = ['--model', gguf, '--model-name', 'real', '--router-mode', 'kv', '--http-host', '127.0.0.1', '--http-port', '0', ...size];
    const serve = stack.use(start(['serve', ...flags], {}));
    await vi.waitFor(() => expect(serve.output()).toContain('Dynamo is ready'), 60_000);
    return /http:\/\/127\.0\.0\.1:\d+/.exec(serve.output())?.[0] ?? '';
  },
  async 'the real frontend'(stack: AsyncDisposableStack, gguf: string): Promise<string> {
    const { env } = stack.use(await scene());
    const workers = [1, 2].map(() =>
      stack.use(start(['worker', '--engine', 'llama', '--model', gguf, '--model-name', 'real', '--threads', '1', ...size], env)),
    );
    for (const { output } of workers) await vi.waitFor(() => expect(output()).toContain("llama engine, model 'real'"), 60_000);
    const python = 'path' in found ? found.path : '';
    const { url } = stack.use(await startFrontend(python, { port: await freePort(), env, args: ['--router-mode', 'kv'] }));
    await vi.waitFor(async () => expect(await (await fetch(`${url}/v1/models`)).text()).toContain('"real"'), 40_000);
    return url;
  },
};

interface Answer {
  readonly text: string;
  readonly worker: string;
  readonly prompt: number;
  readonly completion: number;
  readonly cached: number;
}

async function post(url: string, route: string, body: object): Promise<Answer> {
  const response = await fetch(`${url}/v1/${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'real', temperature: 0, nvext: { extra_fields: ['worker_id'] }, ...body }),
  });
  const text = await response.text();
  expect(response.status, text).toBe(200);
  const { choices, usage } = JSON.parse(text) as { choices: { text?: string; message?: { content: string } }[]; usage: any };
  return {
    text: choices[0]?.text ?? choices[0]?.message?.content ?? '',
    worker: /"decode_worker_id":(\d+)/.exec(text)?.[1] ?? '',
    prompt: usage.prompt_tokens,
    completion: usage.completion_tokens,
    cached: usage.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

const chat = (url: string, turns: readonly string[], maxTokens: number): Promise<Answer> =>
  post(url, 'chat/completions', {
    messages: [{ role: 'system', content: `Be brief.` }, ...turns.map((content, at) => ({ role: at % 2 === 0 ? 'user' : 'assistant', content }))],
    max_tokens: maxTokens,
  });

describe.each(realModel === undefined || 'missing' in found ? [] : (Object.keys(fleets) as (keyof typeof fleets)[]))(
  'a real model on two workers: %s',
  (fleet) => {
    const stack = new AsyncDisposableStack();
    let url: string;
    let round = 0;
    /** A subject that no worker has heard of, of some eighty tokens. */
    const subject = (): string =>
      `${++round}. ${['rivers', 'mountains', 'clocks', 'bridges', 'birds'][round % 5]} and ${round * 7} more things, `.repeat(6);
    beforeAll(async () => {
      url = await fleets[fleet](stack, realModel?.gguf ?? '');
    }, 180_000);
    afterAll(() => stack.disposeAsync(), 60_000);

    test('answers factual questions', async () => {
      expect((await post(url, 'completions', { prompt: 'The capital of France is', max_tokens: 4 })).text).toContain('Paris');
      expect((await chat(url, ['What is 2 + 2?'], 16)).text).toContain('4');
    });

    test('a second turn goes where the first one was, and finds it all', async () => {
      // Events are on their way while a client is at once again: what counts is that they arrive.
      await expect
        .poll(
          async () => {
            const question = subject();
            const first = await chat(url, [question], 8);
            const second = await chat(url, [question, first.text, 'And then?'], 4);
            return { sameWorker: second.worker === first.worker && first.worker !== '', missed: first.prompt - second.cached <= 0 };
          },
          { timeout: 50_000 },
        )
        .toEqual({ sameWorker: true, missed: true });
    });

    test('two conversations at once are on two workers', async () => {
      await expect
        .poll(
          async () => new Set((await Promise.all([subject(), subject()].map((text) => chat(url, [text], 16)))).map(({ worker }) => worker)).size,
          {
            timeout: 50_000,
          },
        )
        .toBe(2);
    });
  },
);

test.each(realModel === undefined ? [] : [realModel])('files that can not be run end the command with one line', ({ gguf }) => {
  const cut = join(cache, 'cut.gguf');
  const bytes = Buffer.alloc(5_000_000);
  const file = openSync(gguf, 'r');
  readSync(file, bytes);
  closeSync(file);
  writeFileSync(cut, bytes);
  const other = join(cache, 'other.gguf');
  writeFileSync(other, 'no model');
  const run = (...args: string[]): [number | null, string] => {
    const { status, stderr } = spawnSync(process.execPath, ['--conditions=@dynamo/source', main, 'worker', '--discovery-backend', 'mem', ...args], {
      env: environment({ DYN_LOG: 'error' }),
      encoding: 'utf8',
    });
    return [status, stderr];
  };
  expect(run('--model', cut)).toEqual([
    2,
    expect.stringMatching(/^dynamo: .*cut\.gguf is cut off: it has 5000000 bytes, and its weights need \d+\n$/),
  ]);
  expect(run('--model', other)).toEqual([2, expect.stringMatching(/^dynamo: .*is no GGUF file.*\n$/)]);
  expect(run('--model', gguf, '--sequences', '100000')).toEqual([1, expect.stringMatching(/^dynamo: .*needs \d+ MB .*are free\n$/)]);
  expect(run('--engine', 'llama')).toEqual([2, expect.stringMatching(/^dynamo: --engine llama runs GGUF files/)]);
});
