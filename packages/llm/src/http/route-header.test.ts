import { DistributedRuntime } from '@dynamo/runtime';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openCollector } from '../../../runtime/src/testing/otlp-collector.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker } from '../testing/scripted-worker.ts';

beforeEach(() => {
  for (const name of ['DYN_TCP_RPC_HOST', 'DYN_TCP_RESPONSE_STREAM_HOST']) vi.stubEnv(name, '127.0.0.1');
});
afterEach(() => void vi.unstubAllEnvs());

/** A frontend in kv mode with one worker, asked whole and as a stream: the header of both. */
async function headers(routeHeader?: boolean) {
  await using collector = await openCollector('http/protobuf');
  const tracing = { endpoint: `${collector.url}/v1/traces`, protocol: 'http/protobuf', serviceName: 'all' } as const;
  const runtime = await DistributedRuntime.connect({ discovery: 'mem', tracing });
  await using worker = await scriptedWorker(runtime, 'one');
  worker.script = [{ token_ids: [104], finish_reason: 'stop' }];
  const router = { mode: 'kv', ...(routeHeader === undefined ? {} : { routeHeader }) } as const;
  const frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, router });
  await vi.waitFor(() => expect(frontend.models).toEqual(['one']), 10_000);
  const ask = async (stream: boolean): Promise<string | null> => {
    const body = JSON.stringify({ model: 'one', prompt: 'x', stream });
    const response = await fetch(`${frontend.address}/v1/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect(response.status).toBe(200);
    await response.text();
    return response.headers.get('x-dynamo-route');
  };
  const told = [await ask(false), await ask(true)];
  await runtime[Symbol.asyncDispose]();
  return { told, id: runtime.discovery.instanceId, spans: collector.spans };
}

test('answers tell where they went and why, where that is asked for; and the trace does in either case', async () => {
  const { told, id, spans } = await headers(true);
  const line = new RegExp(`^worker=${id}; rank=0; overlap=0/0; cost=[\\d.]+; why=only; events=(live|lagging)$`);
  expect(told).toEqual([expect.stringMatching(line), expect.stringMatching(line)]);
  const route = spans.find(({ name }) => name === 'kv_router.route');
  const http = spans.find(({ name, traceId }) => name === 'http-request' && traceId === route?.traceId);
  expect(route?.parentId).toBe(http?.spanId);
  expect(route?.attributes).toMatchObject({ worker_id: String(id), why: 'only', prompt_blocks: expect.anything(), candidates: expect.anything() });
});

test('by default there is no such header', async () => {
  expect((await headers()).told).toEqual([null, null]);
});
