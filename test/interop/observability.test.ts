import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { type Client, type ConnectOptions, DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { collect, lineLogger } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Collector, openCollector, type ReceivedSpan } from '../../packages/runtime/src/testing/otlp-collector.ts';
import { freeStatusPort } from './mocker.ts';
import { callFromPython, findPython, scene } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

/** A real worker that shows its log lines, its scrape and its spans. */
async function openRealWorker(env: Record<string, string>) {
  const port = String(await freeStatusPort());
  const script = fileURLToPath(new URL('peers/py_worker.py', import.meta.url));
  const child = spawn(python, [script, 'demo.real.generate'], {
    env: { ...process.env, ...env, DYN_SYSTEM_PORT: port, DYN_SYSTEM_HOST: '127.0.0.1' },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const lines: Record<string, unknown>[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (line.startsWith('{')) lines.push(JSON.parse(line) as Record<string, unknown>);
  });
  const ended = once(child, 'close');
  return {
    lines,
    scrape: async (): Promise<string> => (await fetch(`http://127.0.0.1:${port}/metrics`)).text(),
    stop: async (): Promise<void> => {
      child.kill('SIGTERM');
      await ended;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL');
      await ended;
    },
  };
}

type Op = { op?: string; n?: number; msg?: string };

/** The same operations as those of the Python peer. */
async function* operate(request: Op): AsyncGenerator<unknown> {
  if (request.op === 'count' || request.op === 'ignore_stop') for (let i = 0; i < (request.n ?? 0); i++) yield { i };
  else if (request.op === 'raise_first') throw new DynamoError('invalid_argument', `ValueError: ${request.msg}`, { origin: 'backend' });
  else yield { echo: request };
}

describe.skipIf('missing' in found).each(['http/protobuf', 'grpc'] as const)('ours beside the real 1.6.1, spans over %s', (protocol) => {
  const stack = new AsyncDisposableStack();
  const ourLines: string[] = [];
  let collector: Collector;
  let env: Record<string, string>;
  let real: Awaited<ReturnType<typeof openRealWorker>>;
  let ours: DistributedRuntime;
  let caller: DistributedRuntime;
  let clients: Record<'real' | 'ours', Client<Op, unknown>>;

  beforeAll(async () => {
    collector = stack.use(await openCollector(protocol));
    const shared = stack.use(await scene());
    env = {
      ...shared.env,
      DYN_LOG: 'info',
      DYN_LOGGING_JSONL: '1',
      OTEL_EXPORT_ENABLED: '1',
      OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_BSP_SCHEDULE_DELAY: '200',
    };
    real = stack.use(await openRealWorker({ ...env, OTEL_SERVICE_NAME: 'real' }));
    Object.assign(process.env, env);
    const stream = { writableLength: 0, write: (text: string) => ourLines.push(...text.split('\n').filter(Boolean)), on() {}, off() {} };
    const log = stack.use(lineLogger({ env, stream }));
    const open = async (serviceName: string, more: ConnectOptions): Promise<DistributedRuntime> =>
      stack.use(await DistributedRuntime.connect({ tracing: { serviceName }, ...more }));
    ours = await open('ours', { log });
    caller = await open('caller', {});
    await ours.serve('demo.ours.generate', operate, { labels: { model: 'demo-model' } });
    clients = { real: await caller.client('demo.real.generate'), ours: await caller.client('demo.ours.generate') };
    await Promise.all([clients.real.ready(), clients.ours.ready()]);
  });
  afterAll(async () => {
    for (const name of Object.keys(env)) if (name.startsWith('OTEL_') || name.startsWith('DYN_LOG')) delete process.env[name];
    await stack.disposeAsync();
  });

  const spanOf = async (service: string, requestId: string, kind: number): Promise<ReceivedSpan> => {
    const matches = (span: ReceivedSpan): boolean => span.service === service && span.kind === kind && span.attributes['request_id'] === requestId;
    await expect.poll(() => collector.spans.some(matches), { timeout: 15_000 }).toBe(true);
    return collector.spans.find(matches) as ReceivedSpan;
  };

  test('a call of ours and the work of a real worker are one trace, at the collector and in its log lines', async () => {
    const id = crypto.randomUUID();
    await collect(clients.real.generate({ op: 'count', n: 3 }, { id }));
    const [sent, handled] = [await spanOf('caller', id, 3), await spanOf('real', id, 2)];
    expect(handled).toMatchObject({ name: 'handle_payload', traceId: sent.traceId, parentId: sent.spanId });
    expect(sent.name).toBe('router.route_request');
    await expect
      .poll(() => real.lines.filter((line) => line['trace_id'] === sent.traceId).map((line) => line['message']))
      .toEqual(['request received', 'request completed']);
  });

  test('a call of a real client and the work of ours are one trace', async () => {
    await callFromPython(python, {
      args: ['demo.ours.generate', 'round_robin', '{"op":"count","n":2}'],
      env: { ...env, OTEL_SERVICE_NAME: 'real-caller' },
    });
    const matches = (span: ReceivedSpan): boolean => span.service === 'ours' && span.parentId !== '' && !callersOwn(span);
    await expect.poll(() => collector.spans.some(matches), { timeout: 15_000 }).toBe(true);
    const handled = collector.spans.find(matches);
    // The client ends before its own span is sent, or after: the line that it wrote has the ids either way.
    const sent = collector.spans.find((span) => span.service === 'real-caller' && span.spanId === handled?.parentId);
    if (sent !== undefined) expect(sent).toMatchObject({ name: 'router.route_request', traceId: handled?.traceId, kind: 3 });
    const line = ourLines.map((text) => JSON.parse(text) as Record<string, unknown>).find((one) => one['span_id'] === handled?.spanId);
    expect(line).toMatchObject({ trace_id: handled?.traceId, parent_id: handled?.parentId, trace_flags: '01', message: 'request received' });
  });
  const callersOwn = (span: ReceivedSpan): boolean => collector.spans.some((one) => one.service === 'caller' && one.spanId === span.parentId);

  test('both write the same line of a request', async () => {
    const id = crypto.randomUUID();
    for (const client of Object.values(clients)) await collect(client.generate({ op: 'count', n: 1 }, { id, headers: { 'x-request-id': 'proxy' } }));
    const mine = (): Record<string, unknown>[] =>
      ourLines.map((text) => JSON.parse(text) as Record<string, unknown>).filter((line) => line['request_id'] === id);
    const theirs = (): Record<string, unknown>[] => real.lines.filter((line) => line['request_id'] === id);
    await expect.poll(() => [mine().length, theirs().length]).toEqual([2, 2]);
    for (const at of [0, 1]) {
      const members = Object.keys(theirs()[at] ?? {}).filter((name) => name !== 'file' && name !== 'line');
      expect(Object.keys(mine()[at] ?? {})).toEqual(members);
      const same = (line: Record<string, unknown> | undefined) =>
        ['level', 'target', 'message', 'endpoint', 'namespace', 'otel.kind', 'span_name'].map((name) => line?.[name]);
      expect(same(mine()[at])).toEqual(same(theirs()[at]));
      expect(String(mine()[at]?.['time'])).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
    }
  });

  test('the same work makes the same families with the same counts', async () => {
    const before = { real: countsOf(await real.scrape()), ours: countsOf(await ours.metrics.text()) };
    for (const client of Object.values(clients)) {
      for (const request of [{ op: 'count', n: 5 }, { op: 'echo' }, { op: 'count', n: 0 }] as const) await collect(client.generate(request));
      await collect(client.generate({ op: 'raise_first', msg: 'no' })).catch(() => {});
      // It goes on after the stop: the items that nobody takes are an error of the work handler.
      for await (const _ of client.generate({ op: 'ignore_stop', n: 2_000_000 })) break;
    }
    const inflight = async (): Promise<unknown[]> => {
      const texts = [await real.scrape(), await ours.metrics.text()];
      return texts.map((text) => countsOf(text)['inflight_requests']);
    };
    await expect.poll(inflight, { timeout: 20_000 }).toEqual([0, 0]);
    const [theirs, mine] = [await real.scrape(), await ours.metrics.text()];
    expect(shapesOf(mine)).toEqual(shapesOf(theirs));
    const added = (text: string, name: 'real' | 'ours'): Record<string, number> => {
      const counts = countsOf(text);
      return Object.fromEntries(
        ['requests_total', 'cancellation_total', 'errors_total', 'request_duration_seconds_count'].map((one) => [
          one,
          (counts[one] ?? 0) - (before[name][one] ?? 0),
        ]),
      );
    };
    expect(added(mine, 'ours')).toEqual(added(theirs, 'real'));
    expect(added(mine, 'ours')).toMatchObject({ requests_total: 5, cancellation_total: 1 });
  });

  test('bytes of the same answers are the same bytes', async () => {
    const grown: Record<string, number> = {};
    for (const [name, client] of Object.entries(clients)) {
      const scrape = async (): Promise<number> =>
        countsOf(name === 'real' ? await real.scrape() : await ours.metrics.text())['response_bytes_total'] ?? Number.NaN;
      const before = await scrape();
      await collect(client.generate({ op: 'count', n: 100 }));
      await expect.poll(scrape).toBeGreaterThan(before);
      grown[name] = (await scrape()) - before;
    }
    expect(grown['ours']).toBe(grown['real']);
  });
});

/** Values of the families of one endpoint, by their short names. */
function countsOf(text: string): Record<string, number> {
  const lines = [...text.matchAll(/^dynamo_component_(\w+)\{[^}]*dynamo_endpoint="generate"[^}]*\} (\S+)$/gm)];
  return Object.fromEntries(lines.filter(([, name]) => !name?.endsWith('_bucket')).map(([, name, value]) => [name, Number(value)]));
}

/** Every family with its type, label names and bounds; those of callers and of spans are not a worker's. */
function shapesOf(text: string): unknown[] {
  return text
    .split(/^(?=# HELP)/m)
    .filter((block) => block.startsWith('# HELP') && !/^# HELP dynamo_(request_plane|transport_tcp|trace)_/.test(block))
    .map((block) => {
      const [, name, help, type] = /^# HELP (\S+) (.*)\n# TYPE \S+ (\w+)/.exec(block) ?? [];
      const labels = new Set([...block.matchAll(/(\w+)="/g)].map(([, label]) => label));
      return { name, help, type, labels: [...labels].toSorted(), bounds: [...new Set([...block.matchAll(/le="(.*?)"/g)].map(([, bound]) => bound))] };
    });
}
