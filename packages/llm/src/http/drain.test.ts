import { once } from 'node:events';
import { connect } from 'node:net';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend, FrontendOptions } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { modalEngine } from '../testing/modal-engine.ts';
import { tinyModel } from '../testing/scripted-worker.ts';

let runtime: DistributedRuntime;
beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await new Llm(runtime).serve({ endpoint: 'drain.backend.generate', model: tinyModel, name: 'tiny', engine: modalEngine as never });
});
afterAll(() => runtime[Symbol.asyncDispose]());

async function open(options: FrontendOptions): Promise<Frontend> {
  const frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, ...options });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  return frontend;
}

const ask = (frontend: Frontend, content: string, more: object = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content }], ...more }),
  });

const cutMessage = (ms: number): string =>
  `The frontend shuts down, and this answer did not end within its ${ms} ms (DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS)`;

test('health says so at once, new requests are refused in words, and streams go on to their end', async () => {
  const frontend = await open({ drainMs: 20_000 });
  const stream = await ask(frontend, 'slowly', { stream: true, stop: ['.'.repeat(200)] });
  const closing = frontend[Symbol.asyncDispose]();
  const health = await fetch(`${frontend.address}/health`);
  // These bodies are what the running 1.6.1 answers while it drains.
  expect([health.status, await health.text()]).toEqual([503, '{"status":"not_ready","stage":"draining","message":"Service is not ready"}']);
  const refused = await ask(frontend, 'hello');
  expect([refused.status, await refused.text()]).toEqual([503, '{"message":"Service is not ready","type":"Service Unavailable","code":503}']);
  expect([refused.headers.get('retry-after'), refused.headers.get('connection')]).toEqual(['1', 'close']);
  expect((await fetch(`${frontend.address}/live`)).status).toBe(200);
  const text = await stream.text();
  expect(text).toContain('"finish_reason":"stop"');
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
  await closing;
  await expect(fetch(frontend.address)).rejects.toThrow();
});

test('at the limit every answer ends in an error of its form, and no connection in a reset', async () => {
  const frontend = await open({ drainMs: 200, limits: { concurrent: 3, queued: 2 } });
  const streams = await Promise.all([0, 1].map(() => ask(frontend, 'slowly', { stream: true })));
  const unary = ask(frontend, 'silent');
  const body = connect(Number(new URL(frontend.address).port), '127.0.0.1');
  await once(body, 'connect');
  let bodyAnswer = '';
  body.on('data', (chunk: Buffer) => (bodyAnswer += chunk.toString()));
  body.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{');
  await vi.waitFor(async () => expect(await (await fetch(`${frontend.address}/metrics`)).text()).toContain('inflight_requests{model="tiny"} 3'));
  const queued = ask(frontend, 'hello');
  await new Promise((resolve) => setTimeout(resolve, 100));
  const closing = frontend[Symbol.asyncDispose]();
  const told = { message: cutMessage(200), type: 'Service Unavailable', code: 503 };
  const event = { error: { message: cutMessage(200), type: 'service_unavailable', code: 503 } };
  for (const stream of streams) {
    const text = await stream.text();
    expect(text.endsWith(`data: ${JSON.stringify(event)}\n\ndata: [DONE]\n\n`)).toBe(true);
  }
  for (const response of [await unary, await queued]) expect([response.status, await response.json()]).toEqual([503, told]);
  await expect.poll(() => bodyAnswer).toContain(JSON.stringify(told));
  await closing;
  body.destroy();
});
