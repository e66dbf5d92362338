import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from '../async/pipe.ts';
import { mem, MemStore } from '../discovery/mem/index.ts';
import type { Handler } from '../endpoint/handler.ts';
import type { Served, ServeOptions } from '../endpoint/serve.ts';
import { DistributedRuntime } from '../runtime.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import { encodeRequestFrame } from '../wire/request-frame.ts';
import { encodeTwoPart } from '../wire/two-part.ts';

beforeEach(() => {
  vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
});
afterEach(() => vi.unstubAllEnvs());

async function pair(handler: Handler<string, string>, options: ServeOptions = {}) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const worker = stack.use(await DistributedRuntime.connect({ discovery: mem(store), drainMs: 2_000 }));
  const caller = stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  const served = stack.use(await worker.serve('demo.backend.generate', handler, options));
  const client = await caller.client<string, string>('demo.backend.generate');
  await client.ready();
  return { worker, caller, served, client, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

const echo: Handler<string, string> = async function* (text) {
  yield text;
};

/** Value of the first line that begins with the name and has all of the labels. */
function valueOf(text: string, name: string, ...labels: string[]): number | undefined {
  const line = text.split('\n').find((one) => new RegExp(`^${name}[ {]`).test(one) && labels.every((label) => one.includes(label)));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}

/** Sends bytes as a request and waits for the acknowledgement. */
async function sendRaw({ instance }: Served, payload: Uint8Array): Promise<void> {
  const address = 'tcp' in instance.transport ? instance.transport.tcp : '';
  const [, host = '', port = '', path = ''] = /^([^:]+):(\d+)\/(.*)$/.exec(address) ?? [];
  const socket = connect({ host, port: Number(port) });
  await once(socket, 'connect');
  socket.write(encodeRequestFrame({ path, headers: {}, payload }, 1024));
  await once(socket, 'data');
  socket.destroy();
}

interface ReadFamily {
  name: string;
  help: string;
  type: string;
  labels: string[];
  bounds: string[];
}

/** Families of a text with the label names of all their lines. */
function read(text: string): ReadFamily[] {
  return text
    .split(/^(?=# HELP)/m)
    .filter((block) => block.startsWith('# HELP'))
    .map((block) => {
      const [, name = '', help = '', type = ''] = /^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)/.exec(block) ?? [];
      const labels = [...block.matchAll(/(\w+)="/g)].map(([, label = '']) => label).filter((label) => label !== 'le');
      const bounds = [...block.matchAll(/le="(.*?)"/g)].map(([, bound = '']) => bound);
      return { name, help, type, labels: [...new Set(labels)].toSorted(), bounds: [...new Set(bounds)] };
    });
}

/** Families that a scrape of the real system has and ours of the same process has not, by why; empty is the aim. */
const leftOut: Readonly<Record<string, string>> = {};

const real = (file: string): ReadFamily[] => read(readFileSync(new URL(`../../../../vectors/${file}`, import.meta.url), 'utf8'));

test('names, types, help texts, labels and buckets are those of a real worker', async () => {
  await using run = await pair(echo, { labels: { model: 'demo-model' } });
  await collect(run.client.generate('hello'));
  // errors_total is shown from its first error on.
  await sendRaw(run.served, encodeTwoPart({ header: Buffer.from('{'), body: Buffer.from('1') }));
  const families = real('runtime/metrics-worker.prom');
  expect(families.filter(({ name }) => leftOut[name] !== undefined)).toHaveLength(Object.keys(leftOut).length);
  expect(read(await run.worker.metrics.text())).toEqual(families.filter(({ name }) => leftOut[name] === undefined));
});

/** Families of a process that calls, which the real system shows in its frontend alone. */
const ofCallers = /^dynamo_(request_plane|transport_tcp)_/;

test('families of a process that calls are those of a real frontend, and one that only serves does not show them', async () => {
  await using run = await pair(echo);
  await collect(run.client.generate('hello'));
  const families = real('metrics/frontend.prom').filter(({ name }) => ofCallers.test(name));
  expect(families).toHaveLength(8);
  expect(read(await run.caller.metrics.text()).filter(({ name }) => ofCallers.test(name))).toEqual(families);
  expect(await run.worker.metrics.text()).not.toMatch(/^dynamo_(request_plane|transport_tcp)_/m);
});

test('a call is counted from its begin to its end, and bytes both ways', async () => {
  const go = Promise.withResolvers<void>();
  await using run = await pair(async function* (text) {
    await go.promise;
    yield text;
    yield text;
  });
  const answer = collect(run.client.generate('hello'));
  const caller = (name: string): Promise<number | undefined> => run.caller.metrics.text().then((text) => valueOf(text, name));
  await expect.poll(() => caller('dynamo_request_plane_inflight_requests')).toBe(1);
  expect(await caller('dynamo_request_plane_roundtrip_ttft_seconds_count')).toBe(0);
  go.resolve();
  await answer;
  for await (const _ of run.client.generate('left')) break;
  expect(await caller('dynamo_request_plane_inflight_requests')).toBe(0);
  for (const name of ['queue_seconds', 'send_seconds', 'roundtrip_ttft_seconds'])
    expect(await caller(`dynamo_request_plane_${name}_count`), name).toBe(2);
  // A frame is its payload, which the worker counts, and path and headers before it.
  const received = valueOf(await run.worker.metrics.text(), 'dynamo_component_request_bytes_total') ?? 0;
  expect(await caller('dynamo_transport_tcp_bytes_sent_total')).toBeGreaterThan(received + 2 * 100);
  expect(await caller('dynamo_transport_tcp_bytes_received_total')).toBe(0);
  // Two items and the final frame, as msgpack.
  await expect.poll(async () => valueOf(await run.worker.metrics.text(), 'dynamo_component_response_bytes_total')).toBeGreaterThan(2 * 20);
  await run.worker[Symbol.asyncDispose]();
  await expect(collect(run.client.generate('nobody'))).rejects.toThrow();
});

test('requests that no worker took are counted as errors of the transport', async () => {
  await using run = await pair(echo);
  const { instance } = run.served;
  const gone = createServer((socket) => socket.once('data', () => socket.destroy())).listen(0, '127.0.0.1');
  await once(gone, 'listening');
  const { port } = gone.address() as AddressInfo;
  await using _record = await run.caller.discovery.put(encodeInstance({ ...instance, id: 7n, transport: { tcp: `127.0.0.1:${port}/x` } }));
  await expect.poll(() => run.client.instances.length).toBe(2);
  await expect(collect(run.client.generate('x', { instance: 7n }))).rejects.toThrow();
  expect(valueOf(await run.caller.metrics.text(), 'dynamo_transport_tcp_errors_total')).toBe(1);
  gone.close();
});

test('what counts is what counts in the real system: errors of handlers are no errors of the work handler', async () => {
  // The seven requests of vectors/metrics/worker_errors.prom.
  await using run = await pair(
    async function* (kind) {
      if (kind === 'before') throw new Error('before');
      if (kind === 'empty') return;
      yield 'first';
      if (kind === 'mid') throw new Error('mid');
      if (kind === 'endless') for (;;) yield await sleep(1, 'more');
    },
    { labels: { model: 'm', model_name: 'm' } },
  );
  for (const kind of ['good', 'good', 'empty']) await collect(run.client.generate(kind));
  for (const kind of ['mid', 'before', 'before']) await expect(collect(run.client.generate(kind))).rejects.toThrow();
  for await (const _ of run.client.generate('endless')) break;
  await vi.waitFor(async () => expect(valueOf(await run.worker.metrics.text(), 'dynamo_component_inflight_requests')).toBe(0));
  const text = await run.worker.metrics.text();
  const real = readFileSync(new URL('../../../../vectors/metrics/worker_errors.prom', import.meta.url), 'utf8');
  const labels = '{dynamo_component="backend",dynamo_endpoint="generate",dynamo_namespace="demo",';
  for (const name of ['requests_total', 'errors_total', 'cancellation_total', 'inflight_requests', 'request_duration_seconds_count']) {
    const lines = (whole: string): string[] => whole.match(new RegExp(`^dynamo_component_${name}\\{.*$`, 'gm')) ?? [];
    const placed = lines(real).map((line) => line.replace(/\{.*dynamo_namespace="ns_a",/, labels).replace(/worker_id=".*?"/, 'worker_id="*"'));
    expect(lines(text).map((line) => line.replace(/worker_id=".*?"/, 'worker_id="*"'))).toEqual(placed);
  }
  expect(valueOf(text, 'dynamo_component_request_bytes_total')).toBeGreaterThan(7 * 100);
  expect(valueOf(text, 'dynamo_work_handler_network_transit_seconds_count')).toBe(7);
  expect(valueOf(text, 'dynamo_work_handler_time_to_first_response_seconds_count')).toBe(7);
});

test('bad envelopes and bodies are counted by what was wrong with them', async () => {
  await using run = await pair(echo);
  await sendRaw(run.served, Buffer.from('no two parts'));
  await sendRaw(run.served, encodeTwoPart({ header: Buffer.from('{"id":1}') }));
  const text = await run.worker.metrics.text();
  expect(valueOf(text, 'dynamo_component_errors_total', 'error_type="invalid_message"')).toBe(1);
  expect(valueOf(text, 'dynamo_component_errors_total', 'error_type="deserialization"')).toBe(1);
  expect(valueOf(text, 'dynamo_component_requests_total')).toBe(2);
  expect(valueOf(text, 'dynamo_component_inflight_requests')).toBe(0);
});

test('who runs, waits and is turned away is shown', async () => {
  vi.stubEnv('DYN_ENGINE_REQUEST_LIMIT', '1');
  vi.stubEnv('DYN_DYNAMO_REQUEST_QUEUE_LIMIT', '1');
  const go = Promise.withResolvers<void>();
  await using run = await pair(async function* (text) {
    await go.promise;
    yield text;
  });
  const outcomes = Promise.allSettled(['a', 'b', 'c'].map((text) => collect(run.client.generate(text))));
  await vi.waitFor(async () => expect(valueOf(await run.worker.metrics.text(), 'dynamo_rejection_request_total')).toBe(1));
  const busy = await run.worker.metrics.text();
  for (const name of ['dynamo_engine_request', 'dynamo_request_queue', 'dynamo_work_handler_pool_active_tasks', 'dynamo_work_handler_queue_depth'])
    expect(valueOf(busy, name), name).toBe(1);
  expect(valueOf(busy, 'dynamo_work_handler_pool_capacity')).toBe(1);
  go.resolve();
  expect((await outcomes).filter(({ status }) => status === 'rejected')).toHaveLength(1);
  await vi.waitFor(async () => expect(valueOf(await run.worker.metrics.text(), 'dynamo_engine_request')).toBe(0));
  const idle = await run.worker.metrics.text();
  for (const name of ['dynamo_engine_request', 'dynamo_request_queue']) expect(valueOf(idle, name), name).toBe(0);
  expect(valueOf(idle, 'dynamo_work_handler_permit_wait_seconds_count')).toBe(1);
});

test('labels that are not allowed are refused before anything is served', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const serve = (labels: Record<string, string>) => runtime.serve('demo.backend.generate', echo, { labels });
  const refused = 'Failed to create work handler metrics: ';
  for (const name of ['dynamo_namespace', 'dynamo_component', 'dynamo_endpoint', 'worker_id']) {
    const message = `${refused}Label '${name}' is automatically added by auto-label injection and cannot be manually set`;
    await expect(serve({ [name]: 'x' })).rejects.toMatchObject({ code: 'invalid_argument', message });
  }
  await expect(serve({ 'bad-label': 'x' })).rejects.toMatchObject({ message: `${refused}Error: 'bad-label' is not a valid label name` });
  await using _served = await serve({ model: 'm' });
});

test('an endpoint that is served again goes on counting, whatever its labels; its owner adds metrics under its labels', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const rounds: Record<string, string>[] = [{}, { model: 'a' }, {}];
  for (const labels of rounds) {
    await using served = await runtime.serve('my-ns.Comp.gen', echo, { labels });
    served.metrics.counter('prompts_total', 'Prompts').inc();
    await using client = await runtime.client<string, string>('my-ns.Comp.gen');
    await client.ready();
    await collect(client.generate('x'));
  }
  const text = await runtime.metrics.text();
  const labels = ['dynamo_namespace="my_ns"', 'dynamo_component="Comp"', 'dynamo_endpoint="gen"'];
  expect(valueOf(text, 'dynamo_component_prompts_total', ...labels)).toBe(3);
  expect(valueOf(text, 'dynamo_component_requests_total', ...labels, 'gen",dynamo_namespace="my_ns",worker_id')).toBe(2);
  expect(valueOf(text, 'dynamo_component_requests_total', ...labels, 'model="a"')).toBe(1);
});

test('two runtimes of one process count apart', async () => {
  await using run = await pair(echo);
  await collect(run.client.generate('x'));
  const [worker, caller] = [await run.worker.metrics.text(), await run.caller.metrics.text()];
  expect(valueOf(worker, 'dynamo_component_requests_total')).toBe(1);
  expect(valueOf(caller, 'dynamo_component_requests_total')).toBeUndefined();
  const id = (text: string): string | undefined => /uptime_seconds\{worker_id="([0-9a-f]+)"\}/.exec(text)?.[1];
  expect(id(worker)).toBe(run.served.instance.id.toString(16));
  expect(id(caller)).not.toBe(id(worker));
});

test('the status server answers /metrics, and tells when registries disagree', async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  await using runtime = await DistributedRuntime.connect({ discovery: 'mem', system: { port, host: '127.0.0.1' } });
  await using served = await runtime.serve('demo.backend.generate', echo);
  served.metrics.onExposition(() => 'engine_steps 5\n');
  const get = () => fetch(`http://127.0.0.1:${port}/metrics`);
  const good = await get();
  expect([good.status, good.headers.get('content-type')]).toEqual([200, 'text/plain; charset=utf-8']);
  const text = await good.text();
  expect(valueOf(text, 'dynamo_component_uptime_seconds')).toBeGreaterThan(0);
  expect(text.endsWith('engine_steps 5\n')).toBe(true);
  served.metrics.counter('odd_total', 'one').inc();
  runtime.metrics.counter('odd_total', 'two').inc();
  const bad = await get();
  expect([bad.status, await bad.text()]).toEqual([500, expect.stringContaining("'dynamo_component_odd_total' has inconsistent help/type")]);
});
