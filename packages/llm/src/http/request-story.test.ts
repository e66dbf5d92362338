import { DistributedRuntime, type LogFields, type Logger } from '@dynamo/runtime';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openCollector } from '../../../runtime/src/testing/otlp-collector.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker } from '../testing/scripted-worker.ts';

beforeEach(() => {
  for (const name of ['DYN_TCP_RPC_HOST', 'DYN_TCP_RESPONSE_STREAM_HOST']) vi.stubEnv(name, '127.0.0.1');
});
afterEach(() => void vi.unstubAllEnvs());

const trace = '4bf92f3577b34da6a3ce929d0e0e4736';

/** A logger that keeps its lines as objects. */
function notebook(lines: LogFields[], bound: LogFields = {}): Logger {
  const write =
    (level: string) =>
    (fields: LogFields, message: string): void =>
      void lines.push({ ...bound, ...fields, level, message });
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => notebook(lines, { ...bound, ...fields }),
    isLevelEnabled: () => true,
  };
}

test('an HTTP request, the call that it makes and the work of the worker are one trace, and its lines tell of it', async () => {
  await using collector = await openCollector('http/protobuf');
  const lines: LogFields[] = [];
  const tracing = { endpoint: `${collector.url}/v1/traces`, protocol: 'http/protobuf', serviceName: 'all' } as const;
  const runtime = await DistributedRuntime.connect({ discovery: 'mem', tracing, log: notebook(lines) });
  await using _worker = await (async () => {
    const worker = await scriptedWorker(runtime, 'one');
    worker.script = [{ token_ids: [104] }, { token_ids: [105, 106], finish_reason: 'stop' }];
    return worker;
  })();
  const frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['one']), 10_000);
  const ask = async (body: object, headers: Record<string, string> = {}): Promise<number> => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
    const response = await fetch(`${frontend.address}/v1/completions`, init);
    await response.text();
    return response.status;
  };
  const known = { traceparent: `00-${trace}-00f067aa0ba902b7-01`, 'x-request-id': '11111111-2222-4333-8444-555555555555' };
  expect(await ask({ model: 'one', prompt: 'x' }, known)).toBe(200);
  expect(await ask({ model: 'one', prompt: 'x', stream: true })).toBe(200);
  expect(await ask({ model: 'none', prompt: 'x' })).toBe(404);
  await runtime[Symbol.asyncDispose]();
  const of = (name: string, traceId = trace) => collector.spans.find((span) => span.name === name && span.traceId === traceId);
  const [http, call, work] = [of('http-request'), of('router.route_request'), of('handle_payload')];
  expect(http).toMatchObject({ kind: 1, parentId: '00f067aa0ba902b7', status: 0, flags: 0x301 });
  expect(http?.attributes).toMatchObject({
    method: 'POST',
    uri: '/v1/completions',
    version: 'HTTP/1.1',
    x_request_id: known['x-request-id'],
    model: 'one',
    input_tokens: expect.stringMatching(/^[1-9]\d*$/),
    output_tokens: '3',
    ttft_ms: expect.stringMatching(/^\d+\.\d\d$/),
    'request.outcome': 'success',
  });
  expect(call).toMatchObject({ kind: 3, parentId: http?.spanId });
  expect(work).toMatchObject({ kind: 2, parentId: call?.spanId, attributes: { x_request_id: known['x-request-id'] } });
  const requests = collector.spans.filter((span) => span.name === 'http-request');
  expect(requests.map((span) => span.attributes['request.outcome'])).toEqual(['success', 'success', 'error']);
  expect(requests[2]).toMatchObject({ status: 2, attributes: { model: 'none' } });
  expect(new Set(requests.map((span) => span.traceId)).size).toBe(3);
  const told = lines.filter((line) => line['target'] === 'dynamo_llm::http::service::metrics');
  expect(told.map((line) => [line['message'], line['level'], line['request_type'], line['status']])).toEqual([
    ['request received', 'info', 'unary', undefined],
    ['request completed', 'info', 'unary', 'success'],
    ['request received', 'info', 'stream', undefined],
    ['request completed', 'info', 'stream', 'success'],
    ['request received', 'info', 'unary', undefined],
    ['request completed', 'error', 'unary', 'error'],
  ]);
  expect(told[0]).toMatchObject({ trace_id: trace, span_id: http?.spanId, span_name: 'http-request', endpoint: 'completions', model: 'one' });
});
