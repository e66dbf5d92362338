import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import type { Discovery } from './discovery/discovery.ts';
import type { Handler } from './endpoint/handler.ts';
import { DistributedRuntime } from './runtime.ts';
import { notebook } from './testing/notebook.ts';
import { encodeRequestFrame } from './wire/request-frame.ts';

beforeEach(() => {
  vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
});
afterEach(() => vi.unstubAllEnvs());

const path = 'demo.backend.generate';
const status = { port: 0, host: '127.0.0.1' };
const health = async (runtime: DistributedRuntime): Promise<{ code: number; status: string; endpoints: Record<string, string> }> => {
  const answer = await fetch(`${runtime.statusUrl}/health`);
  return { code: answer.status, ...((await answer.json()) as { status: string; endpoints: Record<string, string> }) };
};

/** A handler that answers when it is let, and writes down what happens to it. */
function gated() {
  const gate = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  const handler: Handler<unknown, number> = async function* (_request, { signal, killSignal }) {
    signals.push(signal, killSignal);
    yield 1;
    await Promise.race([gate.promise, new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))]);
    if (signal.aborted) throw signal.reason;
    yield 2;
  };
  return { handler, open: gate.resolve, signals };
}

/** Sends one request frame to an instance by hand and reads the acknowledgement. */
async function knock(socket: Socket, wirePath: string): Promise<string> {
  socket.write(encodeRequestFrame({ path: wirePath, headers: {}, payload: new Uint8Array(0) }, 1 << 20));
  const [answer] = (await once(socket, 'data')) as [Buffer];
  return answer.subarray(4).toString();
}

test('the order of a shutdown: not ready, withdrawn, refusing, drained without a word to who runs, planes closed, lease given back', async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const log: string[] = [];
  const plain = mem(store);
  const discovery: Discovery = {
    ...plain,
    async put(record) {
      const kept = await plain.put(record);
      return {
        async [Symbol.asyncDispose]() {
          log.push(`record deleted, ${(await health(worker)).status}`);
          await kept[Symbol.asyncDispose]();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      const reachable = await new Promise((resolve) =>
        connect(port, host)
          .once('connect', () => resolve(true))
          .once('error', () => resolve(false)),
      );
      log.push(`lease given back, planes ${reachable === true ? 'open' : 'closed'}`);
      await plain[Symbol.asyncDispose]();
    },
  };
  const worker = stack.use(await DistributedRuntime.connect({ discovery, system: status, drainMs: 10_000 }));
  worker.setReady(true);
  const gate = gated();
  const served = await worker.serve(path, gate.handler);
  const [address = '', ...rest] = (served.instance.transport as { tcp: string }).tcp.split('/');
  const [host = '', port] = [address.split(':')[0], Number(address.split(':')[1])];
  expect(await health(worker)).toMatchObject({ code: 200, endpoints: { generate: 'ready' } });

  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<unknown, number>(path);
  await client.ready();
  const running = collect(client.generate(null));
  await expect.poll(() => gate.signals).toHaveLength(2);
  const door = connect(port, host);
  stack.defer(() => void door.destroy());
  await once(door, 'connect');

  const ending = worker[Symbol.asyncDispose]();
  await expect.poll(() => client.instances).toHaveLength(0);
  await expect.poll(() => knock(door, rest.join('/'))).toBe(`Server unavailable: unknown endpoint ${rest.join('/')}`);
  expect(await health(worker)).toMatchObject({ code: 503, status: 'notready', endpoints: { generate: 'notready' } });
  expect(log).toEqual(['record deleted, notready']);
  await sleep(50);
  expect(gate.signals.some((signal) => signal.aborted)).toBe(false);
  gate.open();
  expect(await running).toEqual([1, 2]);
  await ending;
  expect(log).toEqual(['record deleted, notready', 'lease given back, planes closed']);
});

test('requests that wait for a place are drained too', async () => {
  vi.stubEnv('DYN_ENGINE_REQUEST_LIMIT', '1');
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), drainMs: 10_000 }));
  let begun = 0;
  await worker.serve<unknown, number>(path, async function* () {
    begun++;
    await sleep(30);
    yield begun;
  });
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<unknown, number>(path);
  await client.ready();
  const calls = Array.from({ length: 5 }, () => collect(client.generate(null)));
  await expect.poll(() => begun).toBeGreaterThan(0);
  // The other four have been taken: their acknowledgements come in order on one connection.
  await sleep(20);
  await worker[Symbol.asyncDispose]();
  expect((await Promise.all(calls)).flat().toSorted()).toEqual([1, 2, 3, 4, 5]);
});

test('at the limit what runs is aborted, and what a handler throws then reaches its caller as cancelled', async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), drainMs: 50 }));
  await worker.serve<string, number>(path, async function* (how, { signal }) {
    yield 1;
    if (how === 'its reason') {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      throw signal.reason;
    }
    await sleep(60_000, undefined, { signal });
  });
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<string, number>(path);
  await client.ready();
  const streams = ['its reason', 'what the wait throws'].map((how) => client.generate(how)[Symbol.asyncIterator]());
  for (const stream of streams) await stream.next();
  const ends = Promise.allSettled(streams.map((stream) => stream.next()));
  await worker[Symbol.asyncDispose]();
  for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: { code: 'cancelled', origin: 'backend' } });
});

test('a handler that hears nothing does not keep the runtime from its end', async () => {
  const store = new MemStore();
  const worker = await DistributedRuntime.connect({ discovery: mem(store), drainMs: 20 });
  await worker.serve<unknown, number>(path, async function* () {
    yield 1;
    await new Promise(() => {});
  });
  await using caller = await DistributedRuntime.connect({ discovery: mem(store) });
  const client = await caller.client<unknown, number>(path);
  await client.ready();
  const stream = client.generate(null)[Symbol.asyncIterator]();
  await stream.next();
  const end = stream.next().catch((error: unknown) => error);
  await worker[Symbol.asyncDispose]();
  expect(await end).toMatchObject({ code: 'cancelled', origin: 'backend' });
});

test('pause leaves discovery while requests run and new ones are still answered; resume comes back; neither minds being asked twice', async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const gate = gated();
  const served = await worker.serve(path, gate.handler);
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<unknown, number>(path);
  await client.ready();
  const running = collect(client.generate(null));
  await expect.poll(() => gate.signals).toHaveLength(2);
  await Promise.all([served.pause(), served.pause()]);
  await served.pause();
  await expect.poll(() => client.instances).toHaveLength(0);
  await expect(collect(client.generate(null))).rejects.toMatchObject({ code: 'unavailable' });
  const [address = '', ...rest] = (served.instance.transport as { tcp: string }).tcp.split('/');
  const door = connect(Number(address.split(':')[1]), address.split(':')[0]);
  stack.defer(() => void door.destroy());
  expect(await knock(door, rest.join('/'))).not.toContain('unknown endpoint');
  await Promise.all([served.resume(), served.resume()]);
  await expect.poll(() => client.instances).toHaveLength(1);
  gate.open();
  expect(await running).toEqual([1, 2]);
  expect(await collect(client.generate(null))).toEqual([1, 2]);
  await served[Symbol.asyncDispose]();
  await expect(served.resume()).rejects.toMatchObject({ code: 'unavailable' });
  await served.pause();
  expect(client.instances).toHaveLength(0);
});

test('what is opened while the shutdown begins is ended with it', async () => {
  const store = new MemStore();
  const worker = await DistributedRuntime.connect({ discovery: mem(store) });
  const opening = worker.serve(path, async function* () {});
  const ending = worker[Symbol.asyncDispose]();
  await expect(opening).rejects.toMatchObject({ code: 'unavailable' });
  await ending;
  expect(store.list({ bucket: 'v1/instances' })).toEqual([]);
  await expect(worker.serve(path, async function* () {})).rejects.toMatchObject({ code: 'unavailable' });
  await expect(worker.client(path)).rejects.toMatchObject({ code: 'unavailable' });
});

test('a signal ends connecting, whenever it comes, and the runtime afterwards', async () => {
  await expect(DistributedRuntime.connect({ discovery: 'mem', signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  const early = new AbortController();
  const connecting = DistributedRuntime.connect({ discovery: 'mem', system: status, signal: early.signal });
  early.abort();
  await expect(connecting).rejects.toMatchObject({ code: 'cancelled' });
  const late = new AbortController();
  const runtime = await DistributedRuntime.connect({ discovery: 'mem', signal: late.signal });
  late.abort();
  await runtime.closed;
});

test('a record that can not be deleted is told once, and everything else ends all the same', async () => {
  const { lines, log } = notebook();
  const plain = mem(new MemStore());
  const put: Discovery['put'] = async (record) => {
    await plain.put(record);
    return { [Symbol.asyncDispose]: () => Promise.reject(new Error('discovery is away')) };
  };
  const runtime = await DistributedRuntime.connect({ discovery: { ...plain, put, [Symbol.asyncDispose]: () => plain[Symbol.asyncDispose]() }, log });
  const served = await runtime.serve(path, async function* () {});
  const [address = ''] = (served.instance.transport as { tcp: string }).tcp.split('/');
  await expect(runtime[Symbol.asyncDispose]()).rejects.toThrow('discovery is away');
  await expect(runtime[Symbol.asyncDispose]()).rejects.toThrow('discovery is away');
  expect(lines).toContain('the shutdown has failed');
  const [error] = (await once(connect(Number(address.split(':')[1]), '127.0.0.1'), 'error')) as [NodeJS.ErrnoException];
  expect(error.code).toBe('ECONNREFUSED');
});

test('two runtimes of one process share nothing: not their status, routes, endpoints or counts, nor their ends', async () => {
  await using stack = new AsyncDisposableStack();
  const [a, b] = [
    stack.use(await DistributedRuntime.connect({ discovery: 'mem', system: status })),
    stack.use(await DistributedRuntime.connect({ discovery: 'mem', system: status })),
  ];
  expect(a.statusUrl).not.toBe(b.statusUrl);
  a.setReady(true);
  await a.serve<unknown, string>(path, async function* () {
    yield 'a';
  });
  await b.serve<unknown, string>(path, async function* () {
    yield 'b';
  });
  a.route('who', async () => 'a');
  expect([await health(a), await health(b)]).toMatchObject([{ code: 200 }, { code: 503 }]);
  const ask = async (runtime: DistributedRuntime, what: string): Promise<string> => (await fetch(`${runtime.statusUrl}${what}`)).text();
  expect([await ask(a, '/engine/who'), (await fetch(`${b.statusUrl}/engine/who`)).status]).toEqual(['"a"', 404]);
  for (const [runtime, name] of [
    [a, 'a'],
    [b, 'b'],
  ] as const) {
    const client = await runtime.client<unknown, string>(path);
    await client.ready();
    expect(client.instances).toHaveLength(1);
    expect(await collect(client.generate(null))).toEqual([name]);
  }
  const client = await a.client<unknown, string>(path);
  await client.ready();
  await collect(client.generate(null));
  const requests = async (runtime: DistributedRuntime): Promise<string | undefined> =>
    /dynamo_component_requests_total\{[^}]*\} (\d+)/.exec(await ask(runtime, '/metrics'))?.[1];
  expect([await requests(a), await requests(b)]).toEqual(['2', '1']);
  await a[Symbol.asyncDispose]();
  expect((await health(b)).endpoints).toEqual({ generate: 'ready' });
  const other = await b.client<unknown, string>(path);
  await other.ready();
  expect(await collect(other.generate(null))).toEqual(['b']);
});

test('an endpoint with a health check is ready after its first good answer, by a canary or by traffic, and speaks for the process', async () => {
  vi.stubEnv('DYN_HEALTH_CHECK_ENABLED', 'true');
  vi.stubEnv('DYN_CANARY_WAIT_TIME', '3600');
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem', system: status });
  runtime.setReady(true);
  await runtime.serve<unknown, number>(
    path,
    async function* () {
      yield 1;
    },
    { healthCheck: { ping: true } },
  );
  await runtime.serve('demo.backend.other', async function* () {});
  expect(await health(runtime)).toMatchObject({ code: 503, endpoints: { generate: 'notready', other: 'ready' } });
  const client = await runtime.client<unknown, number>(path);
  await client.ready();
  await collect(client.generate(null));
  expect(await health(runtime)).toMatchObject({ code: 200, endpoints: { generate: 'ready' } });
});

test('files of models are handed out by their exact names and no other way', async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-files-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'config.json'), '{"a":1}');
  await writeFile(join(folder, 'secret.json'), 'secret');
  await writeFile(join(folder, 'empty'), '');
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'mem', system: status }));
  const name = { endpoint: { namespace: 'ns', component: 'c', endpoint: 'e' }, slug: 'my_model' };
  const shared = runtime.shareFile({ ...name, file: 'config.json' }, join(folder, 'config.json'));
  runtime.shareFile({ ...name, suffix: 'adapter', file: 'a b.json' }, join(folder, 'empty'));
  runtime.shareFile({ ...name, file: 'folder' }, folder);
  expect(shared.url).toBe(`${runtime.statusUrl}/v1/metadata/ns/c/e/my_model/_base/config.json`);
  const answer = await fetch(shared.url ?? '');
  expect([answer.status, answer.headers.get('content-type'), await answer.text()]).toEqual([200, 'application/octet-stream', '{"a":1}']);
  const raw = async (target: string): Promise<string> => {
    const socket = connect(Number(new URL(runtime.statusUrl ?? '').port), '127.0.0.1');
    socket.write(`GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`);
    let text = '';
    for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
    return text;
  };
  expect(await raw('/v1/metadata/ns/c/e/my_model/adapter/a%20b.json')).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  for (const file of [
    'secret.json',
    '../secret.json',
    '..%2Fsecret.json',
    './config.json',
    'config.json/',
    '%2e%2e/_base/config.json',
    'folder',
    '../../../../../../etc/passwd',
    '%00',
    'constructor',
  ])
    expect(await raw(`/v1/metadata/ns/c/e/my_model/_base/${file}`), file).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*\r\n\r\nNot found$/);
  shared[Symbol.dispose]();
  expect((await fetch(shared.url ?? '')).status).toBe(404);
});

test('a port that is taken is a clear error, and nothing is left of the attempt', async () => {
  await using first = await DistributedRuntime.connect({ discovery: 'mem', system: status });
  const port = Number(new URL(first.statusUrl ?? '').port);
  await expect(DistributedRuntime.connect({ discovery: 'mem', system: { port, host: '127.0.0.1' } })).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining(`can't listen on 127.0.0.1:${port}`),
  });
});

test('clients that are opened and closed again and again leave nothing with the runtime', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const open = async (): Promise<WeakRef<object>> => {
    const client = await runtime.client(path);
    await client[Symbol.asyncDispose]();
    return new WeakRef(client);
  };
  const { setFlagsFromString } = await import('node:v8');
  const { runInNewContext } = await import('node:vm');
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const refs = await Promise.all(Array.from({ length: 20 }, open));
  await sleep(10);
  collectGarbage();
  expect(refs.filter((ref) => ref.deref() !== undefined).length).toBeLessThan(3);
});

test('a process that waits for a worker waits, and does not end for want of anything to do', async () => {
  await using stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-wait-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const script = `
    const { DistributedRuntime } = await import(${JSON.stringify(new URL('./runtime.ts', import.meta.url).href)});
    const runtime = await DistributedRuntime.connect({ discovery: 'file' });
    const client = await runtime.client('demo.backend.generate');
    console.log('waiting');
    await client.ready();
    console.log('found');
    await runtime[Symbol.asyncDispose]();`;
  const child = spawn(process.execPath, ['--conditions=@dynamo/source', '--input-type=module', '-e', script], {
    env: { ...process.env, DYN_FILE_KV: root },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  await expect.poll(() => said, { timeout: 10_000 }).toBe('waiting\n');
  await sleep(300);
  expect(child.exitCode).toBeNull();
  vi.stubEnv('DYN_FILE_KV', root);
  const worker = stack.use(await DistributedRuntime.connect({ discovery: 'file' }));
  await worker.serve(path, async function* () {});
  expect(await exited).toEqual([0, null]);
  expect(said).toBe('waiting\nfound\n');
});
