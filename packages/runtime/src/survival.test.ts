import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import type { ConnectOptions } from './options.ts';
import { DistributedRuntime } from './runtime.ts';

afterEach(() => void vi.unstubAllEnvs());

interface Request {
  readonly op: 'count' | 'large' | 'memory';
  readonly n?: number;
  readonly size?: number;
}

/** A caller here and a worker in a process of its own. */
async function open(options: ConnectOptions = {}) {
  const stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-survival-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const env = { DYN_FILE_KV: root, DYN_TCP_RPC_HOST: '127.0.0.1', DYN_TCP_RESPONSE_STREAM_HOST: '127.0.0.1' };
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const script = fileURLToPath(new URL('./testing/child-worker.ts', import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', script, 'demo.child.generate'], {
    env: { ...process.env, ...env, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  stack.defer(async () => {
    child.kill('SIGCONT');
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
  });
  await once(child.stdout, 'data');
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'file', ...options }));
  const client = await runtime.client<Request, any>('demo.child.generate');
  await client.ready();
  return { child, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('a worker that is killed in the middle of a stream ends it as incomplete, after the items that came', async () => {
  await using at = await open();
  const seen: number[] = [];
  const reading = (async () => {
    for await (const { i } of at.client.generate({ op: 'count', n: 100_000 })) {
      seen.push(i);
      if (i === 20) at.child.kill('SIGKILL');
    }
  })();
  await expect(reading).rejects.toMatchObject({ code: 'stream_incomplete' });
  expect(seen).toEqual(seen.map((_, index) => index));
  expect(seen.length).toBeGreaterThan(20);
  await expect(collect(at.client.generate({ op: 'count', n: 1 }))).rejects.toMatchObject({ code: 'unavailable' });
});

test('a worker that stands still and goes on again loses nothing of a stream without a limit', async () => {
  await using at = await open();
  const seen: number[] = [];
  for await (const { i } of at.client.generate({ op: 'count', n: 60 })) {
    seen.push(i);
    if (i === 20) {
      at.child.kill('SIGSTOP');
      void sleep(400).then(() => at.child.kill('SIGCONT'));
    }
  }
  expect(seen).toEqual(Array.from({ length: 60 }, (_, i) => i));
});

test('a worker that stands still fails a stream with a limit and a new request, and is called again once it goes on', async () => {
  vi.stubEnv('DYN_RUNTIME_INHIBITED_DURATION_SECS', '0');
  await using at = await open({ timeouts: { ackMs: 300 } });
  const reading = (async () => {
    for await (const { i } of at.client.generate({ op: 'count', n: 100_000 }, { idleMs: 200 })) if (i === 5) at.child.kill('SIGSTOP');
  })();
  await expect(reading).rejects.toMatchObject({ code: 'response_timeout', data: { limit: 'idle' } });
  await expect(collect(at.client.generate({ op: 'count', n: 1 }))).rejects.toMatchObject({ code: 'connection_timeout', data: { limit: 'ack' } });
  at.child.kill('SIGCONT');
  expect(await collect(at.client.generate({ op: 'count', n: 3 }))).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }]);
});

test('a reader slower than its worker keeps the memory of both flat', async () => {
  await using at = await open();
  const size = 50_000;
  const there = async (): Promise<number> => (await collect(at.client.generate({ op: 'memory' })))[0];
  /** Lets so many items pass, and tells the memory of both sides at the end and here at most. */
  const pass = async (n: number): Promise<{ here: number; there: number }> => {
    let here = 0;
    let count = 0;
    for await (const item of at.client.generate({ op: 'large', n, size })) {
      if (item.text.length !== size) throw new Error(`item ${item.i} is cut`);
      if (++count % 200 !== 0) continue;
      await sleep(5);
      here = Math.max(here, process.memoryUsage.rss());
    }
    expect(count).toBe(n);
    return { here, there: await there() };
  };
  // The first pass lets both heaps grow to what they like.
  const first = await pass(8_000);
  const second = await pass(16_000);
  expect(second.here - first.here).toBeLessThan(250 << 20);
  expect(second.there - first.there).toBeLessThan(250 << 20);
});

test('a process that only waits for a worker stays until one comes', async () => {
  const root = await mkdtemp(join(tmpdir(), 'dynamo-survival-'));
  const source = `import { DistributedRuntime } from '@dynamo/runtime';
    await using runtime = await DistributedRuntime.connect({ discovery: 'file' });
    const client = await runtime.client('demo.nobody.generate');
    await client.ready({ signal: AbortSignal.timeout(500) }).catch((error) => console.log(error.code));`;
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', '--input-type=module', '--eval', source], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { ...process.env, DYN_FILE_KV: root, NODE_OPTIONS: '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => said.push(chunk));
  const [exit] = (await once(child, 'close')) as [number];
  await rm(root, { recursive: true, force: true });
  expect({ exit, said: Buffer.concat(said).toString() }).toEqual({ exit: 0, said: 'cancelled\n' });
});
