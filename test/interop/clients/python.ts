import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { ClientUnderTest } from './client.ts';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** The Python that has the clients, or why there is none. */
export function findClientPython(): { path: string } | { missing: string } {
  const path = process.env['DYNAMO_CLIENTS_PYTHON'] ?? here('../.venv-clients/bin/python');
  return existsSync(path) ? { path } : { missing: `no Python environment at ${path}: run test/interop/make-env.sh or set DYNAMO_CLIENTS_PYTHON` };
}

/** A Python library in a process of its own, which is asked in JSON lines. */
export function pythonClient(python: string, library: 'openai' | 'langchain' | 'litellm', base: string): ClientUnderTest {
  const child = spawn(python, [here('../peers/py_clients.py'), library, `${base}/v1`], {
    // Without it LiteLLM asks the internet for prices before it does anything.
    env: { ...process.env, LITELLM_LOCAL_MODEL_COST_MAP: 'True' },
    stdio: ['pipe', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
  });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const waiting: { resolve: (value: never) => void; reject: (error: Error) => void }[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (!line.startsWith('{')) return;
    const { told, failed } = JSON.parse(line) as { told?: never; failed?: string };
    const asked = waiting.shift();
    if (failed === undefined) asked?.resolve(told as never);
    else asked?.reject(new Error(failed));
  });
  void ended.then(() => waiting.forEach(({ reject }) => reject(new Error(`the ${library} process has ended`))));
  const ask = <T>(what: string, question: object): Promise<T> =>
    new Promise<T>((resolve, reject) => {
      waiting.push({ resolve: resolve as (value: never) => void, reject });
      child.stdin.write(`${JSON.stringify({ what, ...question })}\n`);
    });
  return {
    whole: (question) => ask('whole', question),
    streamed: (question) => ask('streamed', question),
    withTool: (question) => ask('with_tool', question),
    refused: (question) => ask('refused', question),
    left: (question) => ask('left', question),
    async [Symbol.asyncDispose]() {
      child.stdin.end();
      child.kill('SIGKILL');
      await ended;
    },
  };
}
