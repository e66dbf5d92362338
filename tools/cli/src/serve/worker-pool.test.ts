import { type ChildProcess, spawn } from 'node:child_process';
import { silentLogger } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { UsageError } from '../usage.ts';
import { WorkerPool, type WorkerPoolOptions } from './worker-pool.ts';

const ready = "process.send({ type: 'ready', instance: 'a', address: '127.0.0.1:1', endpoint: 'x.y.z' });";
const drains = `process.on('SIGTERM', () => { console.log('drained'); process.exit(0); }); setInterval(() => {}, 1000); ${ready}`;

/** A pool of real processes that run a script. */
function poolOf(script: string, options: Partial<WorkerPoolOptions> = {}) {
  const children: ChildProcess[] = [];
  const lines: string[] = [];
  const launch = (): ChildProcess => {
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
    child.stdout?.setEncoding('utf8').on('data', (line: string) => lines.push(line.trim()));
    children.push(child);
    return child;
  };
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (_fields: object, message: string) => void warnings.push(message) };
  return { pool: new WorkerPool({ count: 1, launch, log, firstWaitMs: 1, ...options }), children, lines, warnings };
}

test('workers get ready, and drain when the pool is disposed', async () => {
  const seen: number[] = [];
  const { pool, children, lines } = poolOf(drains, { count: 2, onReady: (index) => seen.push(index) });
  pool.start();
  await pool.allReady;
  expect(new Set(seen)).toEqual(new Set([0, 1]));
  expect(new Set([...pool.running.values()].map(({ pid }) => pid))).toEqual(new Set(children.map(({ pid }) => pid)));
  await pool[Symbol.asyncDispose]();
  expect(children.map(({ exitCode }) => exitCode)).toEqual([0, 0]);
  expect(lines).toEqual(['drained', 'drained']);
  expect(pool.running.size).toBe(0);
});

test('a worker that dies is started again', async () => {
  const { pool, children, warnings } = poolOf(drains);
  await using _pool = pool;
  pool.start();
  await pool.allReady;
  const first = pool.running.get(0)?.pid;
  children[0]?.kill('SIGKILL');
  await expect.poll(() => pool.running.get(0)?.pid).not.toBe(first);
  await expect.poll(() => pool.running.size).toBe(1);
  expect(warnings).toEqual(['a worker has ended: starting it again']);
});

test('a worker that keeps dying ends in a clear message', async () => {
  const { pool, children } = poolOf('process.exit(7)', { patience: 3 });
  await using _pool = pool;
  pool.start();
  await expect(pool.failed).rejects.toThrow('worker 1 ended 3 times in a row (last: exit code 7): giving up');
  expect(children).toHaveLength(3);
});

test('a worker that cannot be started as asked is not tried again', async () => {
  const { pool, children } = poolOf('process.exit(2)');
  await using _pool = pool;
  pool.start();
  await expect(pool.failed).rejects.toThrow(new UsageError('worker 1 could not start: its line above says why'));
  expect(children).toHaveLength(1);
});

test('a worker that does not drain in time is killed', async () => {
  const { pool, children } = poolOf(`process.on('SIGTERM', () => {}); setInterval(() => {}, 1000); ${ready}`, { drainMs: 50 });
  pool.start();
  await pool.allReady;
  await pool[Symbol.asyncDispose]();
  expect(children[0]?.signalCode).toBe('SIGKILL');
});
