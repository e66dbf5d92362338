import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import type { Handler } from './endpoint/handler.ts';
import { DynamoError } from './error.ts';
import { DistributedRuntime } from './runtime.ts';
import { missing, startNats, type TestServer } from './testing/servers.ts';

const reason = missing('nats-server');
const path = 'demo.backend.generate';

const count: Handler<{ n: number; delayMs?: number }, { i: number }> = async function* ({ n, delayMs }, context) {
  for (let i = 0; i < n && !context.signal.aborted; i++) {
    if (delayMs !== undefined) await sleep(delayMs);
    yield { i };
  }
};

describe.skipIf(reason !== undefined)(`a runtime whose requests travel over NATS (${reason ?? 'with a real server'})`, () => {
  let server: TestServer;
  beforeAll(async () => void (server = await startNats()));
  afterAll(() => server[Symbol.asyncDispose]());
  beforeEach(() => {
    vi.stubEnv('NATS_SERVER', server.url);
    vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
    vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
  });
  afterEach(() => vi.unstubAllEnvs());

  /** One worker a plane, each with a runtime of its own, and a caller. */
  async function fleet<Req, Res>(planes: readonly ('tcp' | 'nats')[], handler: (plane: string) => Handler<Req, Res>) {
    const stack = new AsyncDisposableStack();
    const store = new MemStore();
    const workers = [];
    for (const requestPlane of planes) {
      const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), requestPlane, drainMs: 5_000 }));
      workers.push({ worker, served: await worker.serve(path, handler(requestPlane)) });
    }
    const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
    const client = await caller.client<Req, Res>(path);
    await client.ready({ min: planes.length });
    return { workers, caller, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  test('the instance says so, and streams come home as ever', async () => {
    await using run = await fleet(['nats'], () => count);
    const [instance] = run.client.instances;
    expect(instance?.transport).toEqual({ nats: `demo_backend.generate-${instance?.id.toString(16)}` });
    expect(await collect(run.client.generate({ n: 1000 }))).toHaveLength(1000);
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => collect(run.client.generate({ n }))));
    expect(all.map((items) => items.length)).toEqual(Array.from({ length: 50 }, (_, n) => n));
  });

  test('a caller reaches each instance of a mixed fleet over its own plane', async () => {
    await using run = await fleet<null, string>(
      ['tcp', 'nats', 'tcp', 'nats'],
      (plane) =>
        async function* () {
          yield plane;
        },
    );
    const answers = (await Promise.all(Array.from({ length: 40 }, () => collect(run.client.generate(null))))).flat();
    expect(answers.filter((plane) => plane === 'nats')).toHaveLength(20);
    expect(answers.filter((plane) => plane === 'tcp')).toHaveLength(20);
  });

  test('stop and kill reach the handler, and its errors reach the caller', async () => {
    const kinds: unknown[] = [];
    await using run = await fleet<{ fail?: boolean }, number>(
      ['nats'],
      () =>
        async function* ({ fail }, context) {
          if (fail === true) throw new DynamoError('invalid_argument', 'no', { origin: 'backend' });
          context.signal.addEventListener('abort', () => kinds.push((context.signal.reason as DynamoError).data['kind']), { once: true });
          for (let i = 0; !context.signal.aborted; i++) {
            yield i;
            await sleep(5);
          }
        },
    );
    await expect(collect(run.client.generate({ fail: true }))).rejects.toMatchObject({ code: 'invalid_argument', origin: 'backend', message: 'no' });
    const abort = new AbortController();
    const stopped = (async () => {
      for await (const _ of run.client.generate({}, { signal: abort.signal })) abort.abort();
    })();
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    for await (const _ of run.client.generate({})) break;
    await expect.poll(() => kinds).toEqual(['stop', 'kill']);
  });

  test('what is too large for the server is told with both sizes, an answer may have any size', async () => {
    await using run = await fleet<string, string>(
      ['nats'],
      () =>
        async function* () {
          yield 'y'.repeat(8 << 20);
        },
    );
    await expect(collect(run.client.generate('x'.repeat(1 << 20)))).rejects.toMatchObject({ code: 'payload_too_large', data: { limit: 1 << 20 } });
    expect((await collect(run.client.generate('x')))[0]).toHaveLength(8 << 20);
  });

  test('a worker that leaves finishes what it has begun, and nothing is lost with it', async () => {
    await using run = await fleet(['nats', 'nats'], () => count);
    const slow = Promise.all(Array.from({ length: 10 }, () => collect(run.client.generate({ n: 20, delayMs: 10 }))));
    await sleep(30);
    let leaving = true;
    const load = (async () => {
      const results: unknown[] = [];
      while (leaving) results.push(await collect(run.client.generate({ n: 1 })).catch((error: unknown) => error));
      return results;
    })();
    await run.workers[0]?.served[Symbol.asyncDispose]();
    leaving = false;
    expect((await slow).map((items) => items.length)).toEqual(Array.from({ length: 10 }, () => 20));
    for (const result of await load)
      expect(result).toEqual(
        DynamoError.is(result) ? expect.objectContaining({ code: expect.stringMatching(/^(unavailable|cannot_connect|disconnected)$/) }) : [{ i: 0 }],
      );
    expect(await collect(run.client.generate({ n: 1 }))).toEqual([{ i: 0 }]);
  });

  test('a server that restarts under load: calls end well or with a type, later ones work, and nothing hangs', async () => {
    await using run = await fleet(['nats', 'nats'], () => count);
    const calls: Promise<unknown>[] = [];
    let calling = true;
    const load = (async () => {
      while (calling) {
        calls.push(collect(run.client.generate({ n: 3, delayMs: 2 })).catch((error: unknown) => error));
        await sleep(2);
      }
    })();
    await sleep(100);
    await server.kill();
    await sleep(300);
    await server.start();
    await sleep(1_000);
    calling = false;
    await load;
    const results = await Promise.all(calls);
    const failures = results.filter((result) => !Array.isArray(result));
    expect(new Set(failures.map((error) => (DynamoError.is(error) ? error.code : error)))).toEqual(
      new Set(failures.length > 0 ? ['disconnected'] : []),
    );
    expect(failures.length).toBeLessThan(results.length / 2);
    expect(results.slice(-20).every((result) => Array.isArray(result) && result.length === 3)).toBe(true);
  });

  test('a server that is not there yet fails the endpoint with its address, and a later try succeeds', async () => {
    await using late = await startNats();
    await late.kill();
    vi.stubEnv('NATS_SERVER', late.url);
    await using worker = await DistributedRuntime.connect({ discovery: mem(new MemStore()), requestPlane: 'nats' });
    await expect(worker.serve(path, count)).rejects.toMatchObject({
      code: 'cannot_connect',
      message: expect.stringContaining(late.url),
    });
    await late.start();
    await using served = await worker.serve(path, count);
    expect(served.instance.transport).toHaveProperty('nats');
  });

  test('a runtime that nobody asks for NATS never connects to it', async () => {
    vi.stubEnv('NATS_SERVER', 'nats://127.0.0.1:1');
    await using run = await fleet(['tcp'], () => count);
    expect(await collect(run.client.generate({ n: 2 }))).toHaveLength(2);
  });
});
