import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import type { Client } from './client/types.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import { DynamoError } from './error.ts';
import { DistributedRuntime } from './runtime.ts';

const script = fileURLToPath(new URL('./testing/worker-process.ts', import.meta.url));

beforeEach(() => {
  vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
});
afterEach(() => vi.unstubAllEnvs());

/** Calls without a pause on so many lanes until told to stop; tells how they ended. */
function load<Req>(client: Client<Req, unknown>, request: (turn: number) => Req, lanes: number) {
  let stopped = false;
  let turn = 0;
  const outcomes = { good: 0, errors: new Map<string, number>() };
  const lane = async (): Promise<void> => {
    while (!stopped) {
      try {
        await collect(client.generate(request(turn++)));
        outcomes.good++;
      } catch (error) {
        const { code, message } = DynamoError.from(error);
        const what = `${code}: ${message.replaceAll(/\d{5,}|[0-9a-f]{12,}/g, 'N')}`;
        outcomes.errors.set(what, (outcomes.errors.get(what) ?? 0) + 1);
        await sleep(1);
      }
    }
  };
  const all = Promise.all(Array.from({ length: lanes }, lane));
  return {
    outcomes,
    async stop(): Promise<void> {
      stopped = true;
      await all;
    },
  };
}

/** A fleet of processes that find each other in one folder, and a client of them. */
async function fleet(variables: Record<string, string> = {}) {
  const stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-fleet-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  vi.stubEnv('DYN_FILE_KV', root);
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(process.execPath, ['--conditions=@dynamo/source', script], {
      env: { ...process.env, ...variables },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    stack.defer(() => void child.kill('SIGKILL'));
    await once(child.stdout!, 'data');
    return child;
  };
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'file' }));
  const client = await runtime.client<{ n: number; delayMs?: number }, { i: number; pid: number }>('demo.fleet.generate');
  return { start, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const exit = async (child: ChildProcess): Promise<unknown> => (child.exitCode === null ? (await once(child, 'exit'))[0] : child.exitCode);

test('300 workers join and leave under load: every request ends, and none for a reason but the leaving', async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const join = async (): Promise<DistributedRuntime> => {
    const runtime = await DistributedRuntime.connect({ discovery: mem(store), drainMs: 10_000 });
    await runtime.serve<number, number>('demo.fleet.generate', async function* (n) {
      for (let i = 0; i < n; i++) yield i;
    });
    return runtime;
  };
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<number, number>('demo.fleet.generate', { policy: 'power-of-two' });
  const workers = [await join()];
  await client.ready();
  const running = load(client, (turn) => turn % 5, 16);
  let served = 1;
  // Waves of thirty join while half of those that are there leave.
  while (served < 300) {
    const joining = Array.from({ length: 30 }, join);
    const leaving = workers.splice(0, workers.length > 20 ? 15 : 0).map((worker) => worker[Symbol.asyncDispose]());
    await Promise.all(leaving);
    workers.push(...(await Promise.all(joining)));
    served += 30;
    const before = running.outcomes.good;
    await expect.poll(() => running.outcomes.good, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before + 50);
  }
  await running.stop();
  expect(running.outcomes.good).toBeGreaterThan(500);
  // A worker that is disposed without a pause may refuse what was already on its way to it; nothing else may happen.
  for (const what of running.outcomes.errors.keys()) expect(what).toMatch(/^(unavailable: Server unavailable: unknown endpoint|disconnected: )/);
  await Promise.all(workers.map((worker) => worker[Symbol.asyncDispose]()));
  await expect(collect(client.generate(1))).rejects.toMatchObject({ code: 'unavailable' });
}, 60_000);

test('a rolling restart of four workers under load: no caller sees an error', async () => {
  await using run = await fleet();
  let workers = await Promise.all(Array.from({ length: 4 }, run.start));
  await run.client.ready({ min: 4 });
  const running = load(run.client, (turn) => ({ n: 1 + (turn % 20), delayMs: turn % 3 }), 8);
  const ends: unknown[] = [];
  for (const old of [...workers]) {
    const fresh = await run.start();
    old.kill('SIGTERM');
    ends.push(await exit(old));
    workers = [...workers.filter((worker) => worker !== old), fresh];
  }
  await running.stop();
  expect(ends).toEqual([0, 0, 0, 0]);
  expect([...running.outcomes.errors]).toEqual([]);
  expect(running.outcomes.good).toBeGreaterThan(50);
  const pids = new Set<number>();
  for (let i = 0; i < 12; i++) for (const { pid } of await collect(run.client.generate({ n: 1 }))) pids.add(pid);
  expect(pids).toEqual(new Set(workers.map(({ pid }) => pid)));
}, 60_000);

test('SIGTERM during streams: each of them ends complete, and the process with 0', async () => {
  await using run = await fleet({ TEST_GRACE_MS: '0' });
  const worker = await run.start();
  await run.client.ready();
  const streams = Array.from({ length: 20 }, () => run.client.generate({ n: 40, delayMs: 20 })[Symbol.asyncIterator]());
  for (const stream of streams) await stream.next();
  worker.kill('SIGTERM');
  const rest = await Promise.all(streams.map(async (stream) => (await collect({ [Symbol.asyncIterator]: () => stream })).length));
  expect(rest).toEqual(Array(20).fill(39));
  expect(await exit(worker)).toBe(0);
}, 30_000);

test('a stream that is longer than the time to drain ends with cancelled, and the process with 0', async () => {
  await using run = await fleet({ TEST_GRACE_MS: '0', TEST_DRAIN_MS: '300' });
  const worker = await run.start();
  await run.client.ready();
  const stream = run.client.generate({ n: 1_000_000, delayMs: 20 })[Symbol.asyncIterator]();
  await stream.next();
  worker.kill('SIGTERM');
  await expect(collect({ [Symbol.asyncIterator]: () => stream })).rejects.toMatchObject({ code: 'cancelled', origin: 'backend' });
  expect(await exit(worker)).toBe(0);
}, 30_000);

test('a worker that is killed fails its streams at once, and the others answer all that follows', async () => {
  await using run = await fleet();
  const [victim, other] = [await run.start(), await run.start()];
  await run.client.ready({ min: 2 });
  const streams = Array.from({ length: 10 }, () => run.client.generate({ n: 100, delayMs: 10 })[Symbol.asyncIterator]());
  const first = await Promise.all(streams.map(async (stream) => (await stream.next()).value as { pid: number }));
  victim.kill('SIGKILL');
  const ends = await Promise.allSettled(streams.map((stream) => collect({ [Symbol.asyncIterator]: () => stream })));
  for (const [index, end] of ends.entries()) {
    if (first[index]?.pid === victim.pid)
      expect(end).toMatchObject({ status: 'rejected', reason: { code: expect.stringMatching(/^(stream_incomplete|disconnected)$/) } });
    else expect(end).toMatchObject({ status: 'fulfilled' });
  }
  for (let i = 0; i < 10; i++) for (const { pid } of await collect(run.client.generate({ n: 1 }))) expect(pid).toBe(other.pid);
}, 30_000);
