import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { collect } from '../async/pipe.ts';
import { mem, MemStore } from '../discovery/mem/index.ts';
import type { HandlerContext } from '../endpoint/handler.ts';
import { DynamoError } from '../error.ts';
import { silentLogger } from '../log.ts';
import type { ConnectOptions } from '../options.ts';
import { DistributedRuntime } from '../runtime.ts';
import { openCollector } from '../testing/otlp-collector.ts';
import { otlpExporter } from './otlp/exporter.ts';
import { recordingTracer } from './recording-tracer.ts';
import { type ExportSettings, tracingOf } from './settings.ts';
import type { EndedSpan } from './tracer.ts';

beforeEach(() => {
  for (const name of ['DYN_TCP_RPC_HOST', 'DYN_TCP_RESPONSE_STREAM_HOST']) vi.stubEnv(name, '127.0.0.1');
});
afterEach(() => void vi.unstubAllEnvs());

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const outside = `00-${trace}-00f067aa0ba902b7-01`;

/** A worker that calls another one, and a client of the first. */
async function threeHops(tracing?: ConnectOptions['tracing'], log = silentLogger) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const open = async (serviceName: string) => {
    const how = tracing === undefined ? {} : { tracing: tracing === false ? tracing : { ...tracing, serviceName } };
    return stack.use(await DistributedRuntime.connect({ discovery: mem(store), log, ...how }));
  };
  const [front, middle, back] = [await open('front'), await open('middle'), await open('back')];
  const contexts: HandlerContext[] = [];
  stack.use(
    await back.serve<string, string>('demo.back.generate', async function* (text, context) {
      contexts.push(context);
      if (text === 'fail') throw new DynamoError('invalid_argument', 'no', { origin: 'backend' });
      yield text;
    }),
  );
  const inner = await middle.client<string, string>('demo.back.generate');
  await inner.ready();
  stack.use(
    await middle.serve<string, string>('demo.middle.generate', async function* (text, context) {
      contexts.push(context);
      yield* inner.generate(text, { context });
    }),
  );
  const client = await front.client<string, string>('demo.middle.generate');
  await client.ready();
  return { client, contexts, runtimes: [front, middle, back], [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test.each(['grpc', 'http/protobuf'] as const)('spans of all hops join into one trace at a collector over %s', async (protocol) => {
  await using collector = await openCollector(protocol);
  const endpoint = protocol === 'grpc' ? collector.url : `${collector.url}/v1/traces`;
  const run = await threeHops({ endpoint, protocol });
  await collect(run.client.generate('x', { id: 'r-1', headers: { traceparent: outside, tracestate: 'v=1', 'x-request-id': 'proxy' } }));
  await expect(collect(run.client.generate('fail'))).rejects.toMatchObject({ code: 'invalid_argument' });
  // Whoever closes hands over the last spans.
  await run[Symbol.asyncDispose]();
  const mine = collector.spans.filter((span) => span.traceId === trace);
  const [first, handled, second, last] = ['front', 'middle', 'middle', 'back'].map((service, at) =>
    mine.find((span) => span.service === service && span.kind === (at % 2 === 0 ? 3 : 2)),
  );
  expect(mine).toHaveLength(4);
  expect(first).toMatchObject({ name: 'router.route_request', parentId: '00f067aa0ba902b7', flags: 0x101, status: 0 });
  expect(first?.attributes).toMatchObject({ request_id: 'r-1', router_mode: 'round-robin', 'request.outcome': 'success' });
  expect(handled).toMatchObject({ name: 'handle_payload', parentId: first?.spanId, flags: 0x301, state: 'v=1' });
  expect(handled?.attributes).toMatchObject({
    component: 'middle',
    endpoint: 'generate',
    namespace: 'demo',
    request_id: 'r-1',
    x_request_id: 'proxy',
  });
  expect(handled?.events).toEqual(['request received', 'request completed']);
  expect(second).toMatchObject({ name: 'router.route_request', parentId: handled?.spanId });
  expect(last).toMatchObject({ name: 'handle_payload', parentId: second?.spanId });
  expect(mine.every((span) => span.seconds >= 0 && span.seconds < 60)).toBe(true);
  // The handlers saw the spans that were recorded.
  expect(run.contexts[0]?.traceparent).toBe(`00-${trace}-${handled?.spanId}-01`);
  // The second call began a trace of its own, and failed at every hop.
  const failed = collector.spans.filter((span) => span.traceId !== trace);
  expect(new Set(failed.map((span) => span.traceId)).size).toBe(1);
  expect(failed.map((span) => [span.kind, span.status])).toEqual(
    expect.arrayContaining([
      [2, 2],
      [3, 2],
    ]),
  );
  expect(failed.find((span) => span.service === 'front')?.attributes).toMatchObject({
    'request.outcome': 'rejected',
    'error.type': 'backend_invalid_argument',
  });
  expect(failed.filter((span) => span.parentId === '')).toHaveLength(1);
  expect(collector.requests[0]?.headers['content-type']).toBe(protocol === 'grpc' ? 'application/grpc' : 'application/x-protobuf');
});

test('without tracing a trace from outside still passes, and nothing begins one', async () => {
  await using run = await threeHops(false);
  await collect(run.client.generate('x', { headers: { traceparent: outside } }));
  await collect(run.client.generate('y'));
  expect(run.contexts.map((context) => context.traceparent?.slice(0, 35))).toEqual([
    outside.slice(0, 35),
    outside.slice(0, 35),
    undefined,
    undefined,
  ]);
});

test('JSON log lines alone give every request a trace, and its lines tell of it', async () => {
  vi.stubEnv('DYN_LOGGING_JSONL', '1');
  const lines: Record<string, unknown>[] = [];
  const bound = (facts: object): typeof silentLogger => ({
    ...silentLogger,
    info: (fields, message) => void lines.push({ ...facts, ...fields, message }),
    child: (fields) => bound({ ...facts, ...fields }),
    isLevelEnabled: () => true,
  });
  await using run = await threeHops(undefined, bound({}));
  await collect(run.client.generate('x', { id: 'r-1' }));
  await expect.poll(() => lines.filter(({ message }) => message === 'request completed').length).toBe(2);
  const received = lines.filter(({ message }) => message === 'request received');
  expect(received.map(({ trace_id: id }) => id)).toEqual(Array.from({ length: 2 }, () => run.contexts[0]?.traceparent?.slice(3, 35)));
  expect(
    Object.keys(received[0] ?? {})
      .filter((name) => name !== 'message')
      .toSorted(),
  ).toEqual(
    // As in the lines of a real worker.
    [
      'component',
      'endpoint',
      'instance_id',
      'namespace',
      'otel.kind',
      'parent_id',
      'request_id',
      'span_id',
      'span_name',
      'target',
      'trace_flags',
      'trace_id',
    ],
  );
});

const settings: ExportSettings = {
  protocol: 'http/protobuf',
  endpoint: '',
  headers: { authorization: 'secret' },
  service: 's',
  maxQueue: 10,
  maxBatch: 4,
  delayMs: 30,
  timeoutMs: 500,
};
const span = (name: string): EndedSpan => ({
  name,
  kind: 'internal',
  traceId: trace,
  spanId: '00f067aa0ba902b7',
  parentId: undefined,
  remoteParent: false,
  flags: 1,
  tracestate: undefined,
  start: 1_000,
  end: 1_001.5,
  attributes: { text: 'é', whole: 7, negative: -1, part: 0.5, yes: true, big: 18446744073709551615n, left: undefined },
  events: [],
  error: undefined,
});

test.each(['grpc', 'http/protobuf'] as const)('a collector over %s that fails costs its spans, and is asked again later', async (protocol) => {
  await using collector = await openCollector(protocol);
  const endpoint = protocol === 'grpc' ? collector.url : `${collector.url}/v1/traces`;
  let dropped = 0;
  const warnings: string[] = [];
  const log = { ...silentLogger, warn: (fields: object, message: string) => void warnings.push(`${message}: ${JSON.stringify(fields)}`) };
  await using exporter = otlpExporter({ ...settings, protocol, endpoint }, { log, onDropped: (spans) => void (dropped += spans) });
  collector.answer(protocol === 'grpc' ? 14 : 503);
  for (const name of ['a', 'b', 'c', 'd']) exporter.export(span(name));
  await expect.poll(() => dropped).toBe(4);
  collector.answer(protocol === 'grpc' ? 0 : 200);
  exporter.export(span('e'));
  await expect.poll(() => collector.spans.map(({ name }) => name)).toEqual(['e']);
  expect(collector.spans[0]?.attributes).toEqual({ text: 'é', whole: 7n, negative: -1n, part: 0.5, yes: true, big: '18446744073709551615' });
  expect(collector.spans[0]?.seconds).toBe(0.0015);
  expect(collector.requests[0]?.headers.authorization).toBe('secret');
  expect(warnings).toHaveLength(1);
  expect(warnings[0]).toContain('could not export spans');
});

test.each(['grpc', 'http/protobuf'] as const)('a collector over %s that is not there costs its spans and a bounded wait', async (protocol) => {
  const gone = await openCollector(protocol);
  await gone[Symbol.asyncDispose]();
  let dropped = 0;
  const exporter = otlpExporter({ ...settings, protocol, endpoint: gone.url }, { log: silentLogger, onDropped: (spans) => void (dropped += spans) });
  for (let at = 0; at < 100; at++) exporter.export(span('x'));
  await exporter[Symbol.asyncDispose]();
  exporter.export(span('late'));
  expect(dropped).toBe(101);
});

test('a slow collector gets no more than the queue holds, and the rest is counted', async () => {
  const taken: number[] = [];
  const go = Promise.withResolvers<void>();
  let dropped = 0;
  const delivery = {
    send: async (body: Uint8Array): Promise<void> => {
      await go.promise;
      taken.push(body.length);
    },
    [Symbol.dispose]() {},
  };
  const exporter = otlpExporter(settings, { log: silentLogger, onDropped: (spans) => void (dropped += spans), delivery });
  for (let at = 0; at < 1_000; at++) exporter.export(span('x'));
  // Four are under way, ten wait.
  expect(dropped).toBe(986);
  go.resolve();
  await exporter[Symbol.asyncDispose]();
  expect([taken.length, dropped]).toEqual([4, 986]);
});

test('a trace from outside keeps its flag; of those that begin here the asked part is recorded, whole', async () => {
  const ended: EndedSpan[] = [];
  const exporter = { export: (one: EndedSpan) => void ended.push(one), [Symbol.asyncDispose]: async () => {} };
  const tracer = recordingTracer({ exporter, sampleRatio: 0.25 });
  tracer.start('outside', { kind: 'server', parent: outside.replace(/01$/, '00') }).end();
  tracer.start('outside', { kind: 'server', parent: outside }).end();
  expect(ended).toHaveLength(1);
  for (let at = 0; at < 2_000; at++) {
    const begun = tracer.start('here', { kind: 'server' });
    tracer.start('below', { kind: 'client', parent: begun.traceparent }).end();
    begun.end();
    begun.end();
  }
  const here = ended.filter(({ name }) => name === 'here').length;
  expect(ended.filter(({ name }) => name === 'below')).toHaveLength(here);
  expect(here).toBeGreaterThan(400);
  expect(here).toBeLessThan(600);
  const off = recordingTracer({ exporter, sampleRatio: 0 }).start('off', { kind: 'server', parent: 'nonsense' });
  expect(off.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/);
});

test('the variables mean what they mean to the real system', () => {
  expect(tracingOf({})).toBeUndefined();
  expect(tracingOf({ OTEL_EXPORT_ENABLED: '0', OTEL_EXPORTER_OTLP_ENDPOINT: 'http://x:1' })).toBeUndefined();
  expect(tracingOf({ DYN_LOGGING_JSONL: '1' })).toEqual({ sampleRatio: 1, warnings: [] });
  expect(tracingOf({ DYN_LOGGING_JSONL: '1', DYN_LOGGING_CONSOLE_FORMAT: 'readable' })).toBeUndefined();
  const asked = (env: Record<string, string>) => tracingOf({ OTEL_EXPORT_ENABLED: '1', ...env });
  expect(asked({})?.export).toMatchObject({ protocol: 'grpc', endpoint: 'http://localhost:4317', service: 'dynamo', headers: {}, maxQueue: 2_048 });
  expect(asked({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })?.export?.endpoint).toBe('http://localhost:4318/v1/traces');
  const full = asked({
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://c:4318/',
    OTEL_EXPORTER_OTLP_HEADERS: 'Authorization=Bearer%20x, a=b,nonsense',
    OTEL_SERVICE_NAME: 'mine',
    OTEL_TRACES_SAMPLE_RATIO: '0.5',
  });
  expect(full).toMatchObject({
    sampleRatio: 0.5,
    export: { endpoint: 'http://c:4318/v1/traces', headers: { authorization: 'Bearer x', a: 'b' }, service: 'mine' },
    warnings: ['skipping unusable OTLP header'],
  });
  expect(asked({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c:1/x', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' })?.export?.endpoint).toBe(
    'http://c:1/x',
  );
  expect(asked({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json', OTEL_TRACES_SAMPLE_RATIO: '7' })).toMatchObject({
    sampleRatio: 1,
    export: { protocol: 'grpc' },
    warnings: [
      "invalid OTEL_TRACES_SAMPLE_RATIO '7'; expected a number between 0.0 and 1.0, keeping default sampler",
      "unsupported OTEL_EXPORTER_OTLP_PROTOCOL 'http/json'; falling back to grpc",
    ],
  });
  expect(asked({ OTEL_TRACES_SAMPLER: 'parentbased_always_off' })?.sampleRatio).toBe(0);
  expect(asked({ OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.1' })?.sampleRatio).toBe(0.1);
});

test('dropped spans are a family of the scrape, and spans keep no process alive', async () => {
  const gone = await openCollector('http/protobuf');
  await gone[Symbol.asyncDispose]();
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '20');
  await using run = await threeHops({ endpoint: gone.url, protocol: 'http/protobuf' });
  await collect(run.client.generate('x'));
  await expect.poll(() => run.runtimes[0]?.metrics.text()).toContain('\ndynamo_trace_spans_dropped_total 1\n');
  await sleep(0);
});
