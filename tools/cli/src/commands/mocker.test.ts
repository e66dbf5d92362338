import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import { dynamo } from '../testing/command.ts';

test.each([
  [['--extra-engine-args', '/nope'], "--extra-engine-args '/nope'"],
  [['--num-gpu-blocks-override', '0'], 'num_gpu_blocks must be positive'],
  [['--block-size', '1'], 'vLLM/TRT-LLM block_size must be at least two'],
  [['--engine-type', 'sglang'], 'backend "sglang" is not simulated by this version'],
  [['--preemption-mode', 'x'], 'engine.preemption_mode: unknown variant `x`, expected `lifo` or `fifo`'],
  [['--zmq-kv-events-ports', '5557'], '--zmq-kv-events-ports'],
  [['--sglang-page-size', '4'], '--sglang-page-size is not available in this version'],
])('%j ends in one line and exit code 2', async (args, message) => {
  const { code, stdout, stderr } = await dynamo(['mocker', ...args]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toContain(message);
  expect(stderr.trimEnd()).not.toContain('\n');
});

test('Ctrl-C ends a mocker whose next worker waits for its start', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-mocker-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', main, 'mocker', '--num-workers', '2', '--stagger-delay', '600'], {
    env: { PATH: process.env['PATH'], DYN_FILE_KV: folder, DYN_TCP_RPC_HOST: '127.0.0.1' },
    stdio: 'ignore',
  });
  stack.defer(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  await vi.waitFor(async () => expect(await readdir(join(folder, 'v1', 'mdc'))).toHaveLength(1), 30_000);
  child.kill('SIGINT');
  expect(await ended).toEqual([0, null]);
});
