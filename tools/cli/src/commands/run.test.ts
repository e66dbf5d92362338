import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Engine, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { echo } from '../engines/echo.ts';
import { bundledModel } from '../model-folder.ts';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
let folder: string;
beforeAll(async () => void (folder = await mkdtemp(join(tmpdir(), 'dynamo-run-'))));
afterAll(() => rm(folder, { recursive: true }));

/** Starts the command with a pipe for its input. */
function begin(args: readonly string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', main, ...args], {
    env: { PATH: process.env['PATH'], DYN_LOG: 'error', ...env },
    stdio: 'pipe',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  const code = new Promise<number | null>((resolve) => child.once('close', resolve));
  return { child, stdin: child.stdin, stdout: () => stdout, stderr: () => stderr, code };
}

test('one prompt on the standard input, over an engine of the process', async () => {
  const run = begin(['run', '--engine', 'echo', '--delay-ms', '0']);
  run.stdin.end('What is\nthis?\n');
  expect([await run.code, run.stdout(), run.stderr()]).toEqual([0, 'What is\nthis?\n', '']);
});

test('a chat over workers of a fleet, by the real flag of the frontend: an interruption ends the answer, the next one the chat', async () => {
  const root = join(folder, 'discovery');
  vi.stubEnv('DYN_FILE_KV', root);
  await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
  vi.unstubAllEnvs();
  const engine = await echo({ modelPath: bundledModel, delayMs: 0 });
  // The second answer waits for its end after its first token.
  let asked = 0;
  const slow: Engine = async function* (request, context) {
    asked++;
    for await (const chunk of engine(request, context)) {
      yield chunk;
      if (asked === 2) await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
    }
  };
  await new Llm(runtime).serve({ endpoint: 'r.backend.generate', model: bundledModel, name: 'm', engine: slow });
  const run = begin(['frontend', '-i'], { DYN_FILE_KV: root });
  run.stdin.write('hello\n');
  await vi.waitFor(() => expect(run.stdout()).toBe('hello\n'), 20_000);
  run.stdin.write('again\n');
  await vi.waitFor(() => expect(run.stdout().length).toBeGreaterThan('hello\n'.length), 10_000);
  run.child.kill('SIGINT');
  await vi.waitFor(() => expect(run.stdout()).toMatch(/^hello\na\w* \^C\n$/), 10_000);
  run.stdin.write('third\n');
  await vi.waitFor(() => expect(run.stdout()).toMatch(/third\n$/), 10_000);
  run.child.kill('SIGINT');
  expect(await run.code).toBe(0);
});

test('a batch, in the words of the forerunner of the real entrypoint', async () => {
  const file = join(folder, 'b.jsonl');
  await writeFile(file, '{"text":"one"}\n{"text":"two"}\n');
  const run = begin(['run', `in=batch:${file}`, 'out=echo', '--delay-ms', '0']);
  expect([await run.code, run.stdout()]).toEqual([0, '']);
  expect(run.stderr()).toMatch(/^dynamo: .*b\.out\.jsonl: 2 answered; \d+ tokens in/);
  const answers = (await readFile(join(folder, 'b.out.jsonl'), 'utf8')).trim().split('\n');
  expect(answers.map((line) => JSON.parse(line).response)).toEqual(['one', 'two']);
});

test.each([
  [['run', '--in', 'carrier-pigeon'], "Invalid in= option 'carrier-pigeon'"],
  [['run', '--in', 'batch:/nowhere.jsonl', '--engine', 'echo'], "batch '/nowhere.jsonl' can't be read"],
  [['run', '--engine', 'echo'], 'there is no prompt'],
])('%j can not be used', async (args, message) => {
  const run = begin(args);
  run.stdin.end();
  expect(await run.code).toBe(2);
  expect(run.stderr()).toContain(message);
  expect(run.stderr().trim().split('\n')).toHaveLength(1);
});
