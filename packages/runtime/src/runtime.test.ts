import { getEventListeners, once } from 'node:events';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import { batches, type BatchedIterable } from './async/batches.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import type { Handler } from './endpoint/handler.ts';
import type { Served } from './endpoint/serve.ts';
import { DynamoError } from './error.ts';
import { openSockets, tcpBytes } from './planes/testing/stage.ts';
import { DistributedRuntime } from './runtime.ts';
import { notebook } from './testing/notebook.ts';
import { encodeItem } from './wire/annotated.ts';
import { decodeControl, encodeHandshake, encodePrologue } from './wire/control.ts';
import { encodeInstance } from './wire/discovery-record.ts';
import { encodeAck, encodeRequestFrame, spanRequestFrame } from './wire/request-frame.ts';
import { decodeTwoPart, encodeTwoPart } from './wire/two-part.ts';

beforeEach(() => {
  vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
});
afterEach(() => vi.unstubAllEnvs());

/** Two runtimes that find each other: one serves `demo.backend.generate`, one calls it. */
async function pair<Req, Res>(handler: Handler<Req, Res>, options: { drainMs?: number } = {}) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), drainMs: 2_000, ...options }));
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const served = stack.use(await worker.serve('demo.backend.generate', handler));
  const client = await caller.client<Req, Res>('demo.backend.generate');
  await client.ready();
  return { worker, caller, served, client, store, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const count: Handler<{ n: number; delayMs?: number }, { i: number }> = async function* ({ n, delayMs }) {
  for (let i = 0; i < n; i++) {
    if (delayMs !== undefined) await sleep(delayMs);
    yield { i };
  }
};

test('a stream that is done: every item, in order', async () => {
  await using run = await pair(count);
  expect(await collect(run.client.generate({ n: 1000 }))).toEqual(Array.from({ length: 1000 }, (_, i) => ({ i })));
  expect(await collect(run.client.generate({ n: 0 }))).toEqual([]);
});

test('ids and hashes of 64 bits, floats, nulls and binary pass unchanged', async () => {
  await using run = await pair<unknown, unknown>(async function* (request) {
    yield request;
  });
  const value = { id: 11684015588889706191n, small: 7, f: 1.5, n: null, t: 'é😀', list: [1, [2, { three: false }]] };
  expect(await collect(run.client.generate(value))).toEqual([value]);
  expect(await collect(run.client.generate(null))).toEqual([null]);
});

test('a stream that throws: the good items first, then the typed error', async () => {
  await using run = await pair<number, number>(async function* (n) {
    for (let i = 0; i < n; i++) yield i;
    throw new DynamoError('engine_shutdown', 'engine is gone', { origin: 'backend' });
  });
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of run.client.generate(3)) seen.push(item);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'engine_shutdown', message: 'engine is gone', origin: 'backend' });
  expect(seen).toEqual([0, 1, 2]);
  await expect(collect(run.client.generate(0))).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringContaining('No workers available for endpoint demo/backend/generate'),
  });
});

test("any other throw of a handler is told as the backend's, and quarantines nobody", async () => {
  await using run = await pair<number, number>(async function* () {
    throw new RangeError('boom');
  });
  for (let i = 0; i < 3; i++)
    await expect(collect(run.client.generate(0))).rejects.toMatchObject({ code: 'unknown', message: 'RangeError: boom', origin: 'backend' });
});

test('a stream that is left: the handler sees a kill and its finally runs', async () => {
  const ended = Promise.withResolvers<unknown>();
  await using run = await pair<null, number>(async function* (_request, { signal }) {
    try {
      for (let i = 0; ; i++) {
        yield i;
        await sleep(1);
      }
    } finally {
      ended.resolve(signal.reason);
    }
  });
  for await (const item of run.client.generate(null)) if (item === 5) break;
  expect(await ended.promise).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
});

test('an aborted signal stops the handler and ends the stream with cancelled', async () => {
  const reason = Promise.withResolvers<unknown>();
  await using run = await pair<null, number>(async function* (_request, { signal }) {
    yield 1;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    reason.resolve(signal.reason);
  });
  const abort = new AbortController();
  const reading = (async () => {
    for await (const _item of run.client.generate(null, { signal: abort.signal })) abort.abort();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  expect(await reason.promise).toMatchObject({ code: 'cancelled', data: { kind: 'stop' } });
  await expect(collect(run.client.generate(null, { signal: AbortSignal.abort() }))).rejects.toMatchObject({ code: 'cancelled' });
});

test('what one socket read brought is one batch', async () => {
  await using run = await pair(count);
  let number = 0;
  let items = 0;
  for await (const batch of (run.client.generate({ n: 500 }) as BatchedIterable<{ i: number }>)[batches]()) {
    number++;
    items += batch.length;
  }
  expect(items).toBe(500);
  expect(number).toBeLessThan(50);
});

test('fifty calls at once share one connection', async () => {
  await using run = await pair(count);
  const all = await Promise.all(Array.from({ length: 50 }, (_, n) => collect(run.client.generate({ n: n + 1, delayMs: 1 }))));
  expect(all.map((items) => items.length)).toEqual(Array.from({ length: 50 }, (_, n) => n + 1));
});

test('a large request and a large answer pass; a request over 32 MiB is refused by name', async () => {
  await using run = await pair<string, string>(async function* (request) {
    yield request.repeat(8);
  });
  expect((await collect(run.client.generate('x'.repeat(5 * 1024 * 1024))))[0]).toHaveLength(40 * 1024 * 1024);
  await expect(collect(run.client.generate('x'.repeat(33 * 1024 * 1024)))).rejects.toMatchObject({ code: 'payload_too_large' });
});

test.each(['msgpack', 'json'])('requests and items of every size, at once, arrive as they were: %s', async (codec) => {
  vi.stubEnv('DYN_REQUEST_PLANE_CODEC', codec);
  await using run = await pair<{ text: string }, { text: string }>(async function* ({ text }) {
    yield { text: `${text}!` };
    for (let i = 0; i < 3; i++) yield { text: `${text}${i}` };
  });
  const textOf = (bytes: number, letters: string): string => letters.repeat(Math.ceil(bytes / letters.length)) + String(bytes);
  const texts = [10, 16_000, 16_500, 65_000, 66_000, 300_000, 700_000, 1_100_000].flatMap((bytes) =>
    ['abcdefghijk', 'äbcdéfg', '中文字'].map((letters) => textOf(bytes, letters)),
  );
  for (let round = 0; round < 2; round++) {
    const answers = await Promise.all(texts.map((text) => collect(run.client.generate({ text }))));
    const good = answers.map((items, at) => items.map((item) => item.text).join() === ['!', 0, 1, 2].map((end) => `${texts[at]}${end}`).join());
    expect(good).toEqual(texts.map(() => true));
  }
});

test('disposal drains: running requests end well, new ones are refused', async () => {
  await using run = await pair(count);
  const running = collect(run.client.generate({ n: 20, delayMs: 20 }));
  await sleep(100);
  const disposing = run.worker[Symbol.asyncDispose]();
  await sleep(20);
  await expect(collect(run.client.generate({ n: 1 }))).rejects.toMatchObject({ code: 'unavailable' });
  expect(await running).toHaveLength(20);
  await disposing;
  await run.worker[Symbol.asyncDispose]();
  expect(run.worker.signal.aborted).toBe(true);
});

test('what does not drain in time is aborted, and its caller hears so', async () => {
  await using run = await pair<null, number>(
    async function* (_request, { signal }) {
      yield 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      throw signal.reason;
    },
    { drainMs: 100 },
  );
  const running = collect(run.client.generate(null));
  await sleep(50);
  await Promise.all([expect(running).rejects.toMatchObject({ code: 'cancelled' }), run.worker[Symbol.asyncDispose]()]);
});

test('a call past its limit is a deadline_exceeded, which is not the fault of the instance', async () => {
  await using run = await pair<null, number>(async function* (_request, { signal }) {
    yield 1;
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  });
  const address = 'tcp' in run.served.instance.transport ? run.served.instance.transport.tcp : '';
  expect(address).toMatch(/^127\.0\.0\.1:\d+\/[0-9a-f]+\/demo\/backend\/generate$/);
  const seen: number[] = [];
  const reading = (async () => {
    for await (const item of run.client.generate(null, { timeoutMs: 200 })) seen.push(item);
  })();
  await expect(reading).rejects.toMatchObject({ code: 'deadline_exceeded', data: { limit: 'call', ms: 200 } });
  expect(seen).toEqual([1]);
  for await (const item of run.client.generate(null)) {
    expect(item).toBe(1);
    break;
  }
});

test('an unknown endpoint, half a frame and a frame of 4 GiB harm nobody', async () => {
  await using run = await pair(count);
  const [host, port] = (run.served.instance.transport as { tcp: string }).tcp.split('/')[0]!.split(':') as [string, string];
  const unknown = connect(Number(port), host);
  unknown.write(encodeRequestFrame({ path: 'nobody', headers: {}, payload: new Uint8Array(0) }, 1 << 20));
  const [answer] = (await once(unknown, 'data')) as [Buffer];
  expect(answer.subarray(4).toString()).toBe('Server unavailable: unknown endpoint nobody');
  unknown.destroy();
  const half = connect(Number(port), host);
  half.write(Buffer.from('0026', 'hex'));
  const huge = connect(Number(port), host);
  huge.write(Buffer.from('00016100027b7dffffffff', 'hex'));
  const [refusal] = (await once(huge, 'data')) as [Buffer];
  expect(refusal.subarray(4).toString()).toContain('passes the limit of 33554432');
  await once(huge, 'close');
  expect(await collect(run.client.generate({ n: 2 }))).toHaveLength(2);
  half.destroy();
});

test('a consumer that does not read pauses the worker', async () => {
  let produced = 0;
  await using run = await pair<null, string>(async function* () {
    for (; produced < 100_000; produced++) yield 'x'.repeat(10_000);
  });
  const stream = run.client.generate(null)[Symbol.asyncIterator]();
  await stream.next();
  await sleep(300);
  const after = produced;
  await sleep(300);
  expect(produced).toBe(after);
  expect(produced).toBeLessThan(20_000);
  await stream.return!();
});

test('a reader that never drains stops nobody else and leaves nothing behind', async () => {
  const sockets = openSockets();
  {
    const ended: unknown[] = [];
    await using run = await pair<string, string>(async function* (how, { signal }) {
      try {
        if (how === 'quick') return yield how;
        for (;;) yield 'x'.repeat(10_000);
      } finally {
        if (how !== 'quick') ended.push(signal.reason);
      }
    });
    const stalled = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const stream = run.client.generate('endless')[Symbol.asyncIterator]();
        await stream.next();
        return stream;
      }),
    );
    const second = await run.caller.client<string, string>('demo.backend.generate');
    await second.ready();
    for (let i = 0; i < 50; i++) expect(await collect(second.generate('quick'))).toEqual(['quick']);
    expect(ended).toEqual([]);
    await Promise.all(stalled.map((stream) => stream.return?.()));
    await expect.poll(() => ended).toHaveLength(5);
    expect(ended[0]).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
  }
  await expect.poll(openSockets).toBeLessThanOrEqual(sockets);
});

test('a discovery folder full of garbage costs one line a file, and no call', async () => {
  await using stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), 'dynamo-runtime-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  vi.stubEnv('DYN_FILE_KV', root);
  const { lines, log } = notebook();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: 'file' }));
  await worker.serve('demo.backend.generate', count);
  const caller = stack.use(await DistributedRuntime.connect({ discovery: 'file', log }));
  const client = await caller.client<{ n: number }, { i: number }>('demo.backend.generate');
  await client.ready();
  const garbage = [
    '{"type":"Endp',
    '',
    '[]',
    '{"type":"Endpoint"}',
    '{"type":"Endpoint","namespace":"demo","component":"backend","endpoint":"generate"}',
  ];
  for (const [index, text] of garbage.entries()) {
    // Whole at once: one that is seen while it is being written costs a line for each of its states.
    await writeFile(join(root, 'v1/instances', `.tmp_${index}`), text);
    await rename(join(root, 'v1/instances', `.tmp_${index}`), join(root, 'v1/instances', `demo%2Fbackend%2Fgenerate%2F${index}`));
  }
  for (let i = 0; i < 20; i++) {
    expect(await collect(client.generate({ n: 2 }))).toHaveLength(2);
    await sleep(10);
  }
  expect(client.instances).toHaveLength(1);
  await expect.poll(() => lines).toHaveLength(garbage.length);
  const second = await caller.client<{ n: number }, { i: number }>('demo.backend.generate');
  await second.ready();
  expect(await collect(second.generate({ n: 2 }))).toHaveLength(2);
});

test('a worker that hangs in the middle of a frame fails its own call, and the other worker answers', async () => {
  await using run = await pair(count);
  const instance = { ...run.served.instance, id: 1n };
  // It takes every request, calls home, and sends half of its second item.
  const hung = await tcpBytes.listen((socket) =>
    socket.on('data', (frame: Buffer) => {
      const { payload } = spanRequestFrame(frame, 0, 1 << 20)!;
      const { address, subject } = decodeControl(decodeTwoPart(payload).header).response;
      socket.write(encodeAck(''));
      void tcpBytes.connect(address).then((home) => {
        const item = encodeTwoPart({ body: encodeItem({ i: 0 }, 'msgpack') });
        home.write(
          Buffer.concat([
            encodeTwoPart({ header: encodeHandshake(subject) }),
            encodeTwoPart({ header: encodePrologue(null) }),
            item,
            item.subarray(0, 30),
          ]),
        );
      });
    }),
  );
  await using stack = new AsyncDisposableStack();
  stack.use(hung);
  const discovery = stack.use(mem(run.store));
  await discovery.put(encodeInstance({ ...instance, transport: { tcp: `${hung.address}/path` } }));
  await run.client.ready({ min: 2 });
  const reading = run.client.generate({ n: 1 }, { instance: 1n, idleMs: 200 })[Symbol.asyncIterator]();
  expect((await reading.next()).value).toEqual({ i: 0 });
  const failed = expect(reading.next()).rejects.toMatchObject({ code: 'response_timeout', data: { limit: 'idle', ms: 200 } });
  for (let i = 0; i < 10; i++) expect(await collect(run.client.generate({ n: 3 }, { instance: run.served.instance.id }))).toHaveLength(3);
  await failed;
  for (let i = 0; i < 10; i++) expect(await collect(run.client.generate({ n: 3 }))).toHaveLength(3);
});

test('round-robin walks ascending ids, direct hits its instance', async () => {
  await using stack = new AsyncDisposableStack();
  const store = new MemStore();
  const ids: bigint[] = [];
  for (let i = 0; i < 3; i++) {
    const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
    const served: Served = await worker.serve<null, string>('demo.backend.generate', async function* () {
      yield served.instance.id.toString();
    });
    ids.push(served.instance.id);
  }
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const client = await caller.client<null, string>('demo.backend.generate');
  await client.ready({ min: 3 });
  const hits: string[] = [];
  for (let i = 0; i < 6; i++) hits.push(...(await collect(client.generate(null))));
  const ascending = ids.toSorted((a, b) => (a < b ? -1 : 1)).map(String);
  expect(hits).toEqual([...ascending, ...ascending]);
  expect(await collect(client.generate(null, { instance: ids[1]! }))).toEqual([String(ids[1])]);
  await expect(collect(client.generate(null, { instance: 5n }))).rejects.toMatchObject({ code: 'cannot_connect' });
});

test('options that this version does not have are refused by name', async () => {
  await expect(DistributedRuntime.connect({ discovery: 'kubernetes' })).rejects.toMatchObject({ code: 'not_implemented' });
  await expect(DistributedRuntime.connect({ discovery: 'mem', requestPlane: 'http' as 'tcp' })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: "requestPlane='http': expected one of tcp, nats",
  });
  for (const [name, value, told] of [
    ['DYN_REQUEST_PLANE', 'http', { code: 'invalid_argument', message: "DYN_REQUEST_PLANE='http': expected one of tcp, nats" }],
    ['DYN_RESPONSE_PLANE', 'udp', { code: 'invalid_argument', message: "DYN_RESPONSE_PLANE='udp': expected one of tcp, quic" }],
    ['DYN_RESPONSE_PLANE', 'quic', { code: 'not_implemented', message: expect.stringContaining('DYN_RESPONSE_PLANE=tcp') }],
    ['NATS_SERVER', 'http://x', { code: 'invalid_argument', message: expect.stringContaining("NATS_SERVER='http://x'") }],
  ] as const) {
    vi.stubEnv(name, value);
    await expect(DistributedRuntime.connect({ discovery: 'mem' })).rejects.toMatchObject(told);
    vi.stubEnv(name, '');
  }
  vi.stubEnv('DYN_TCP_RPC_PORT', 'nine');
  await expect(DistributedRuntime.connect({ discovery: 'mem' })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: "DYN_TCP_RPC_PORT='nine': expected a whole number from 0 to 65535",
  });
});

test('two thousand calls leave no listener, no socket and no timer behind', async () => {
  await using run = await pair(count);
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const abort = new AbortController();
  for (let i = 0; i < 2_000; i += 50)
    await Promise.all(Array.from({ length: 50 }, () => collect(run.client.generate({ n: 1 }, { signal: abort.signal }))));
  expect(getEventListeners(abort.signal, 'abort')).toHaveLength(0);
  expect(timers()).toBeLessThanOrEqual(before + 1);
  await expect.poll(openSockets).toBeLessThan(10);
});
