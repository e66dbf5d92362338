import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Frontend, FrontendOptions } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { modalEngine } from '../testing/modal-engine.ts';
import { tinyModel } from '../testing/scripted-worker.ts';

let runtime: DistributedRuntime;
beforeAll(async () => {
  // A worker that was silent for too long would be left alone for a while.
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await new Llm(runtime).serve({ endpoint: 'limits.backend.generate', model: tinyModel, name: 'tiny', engine: modalEngine as never });
});
afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await runtime[Symbol.asyncDispose]();
});

async function open(options: FrontendOptions): Promise<Frontend> {
  const frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, drainMs: 100, ...options });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
  return frontend;
}

const ask = (frontend: Frontend, content: string, more: object = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content }], ...more }),
  });

/** Everybody else is still served. */
const served = async (frontend: Frontend): Promise<void> => expect((await ask(frontend, 'hello')).status).toBe(200);

const dial = async (frontend: Frontend): Promise<{ socket: Socket; text: () => string }> => {
  const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1');
  let got = '';
  socket.on('error', () => {}).on('data', (chunk: Buffer) => (got += chunk.toString()));
  await once(socket, 'connect');
  return { socket, text: () => got };
};

const post = 'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n';

describe('how many at once', () => {
  test.each([
    [529, {}],
    [503, { overloadStatus: 503 }],
  ])('beyond places and queue the answer is %i, names the limit, and says when to come again', async (status, more) => {
    await using frontend = await open({ limits: { concurrent: 1, queued: 1, ...more } });
    const leave = new AbortController();
    const [first, second] = [0, 1].map(() =>
      fetch(`${frontend.address}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'slowly' }] }),
        signal: leave.signal,
      }).catch(() => undefined),
    );
    await first;
    await sleep(50);
    const refused = await ask(frontend, 'hello');
    expect(refused.status).toBe(status);
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(await refused.json()).toEqual({
      message: 'Too many requests wait to be answered: 1 of at most 1 (DYN_HTTP_MAX_QUEUED_REQUESTS)',
      type: 'Overloaded',
      code: status,
      details: { knob: 'DYN_HTTP_MAX_QUEUED_REQUESTS', measured: 1, limit: 1 },
    });
    // What asks no model is answered all the same.
    expect((await fetch(`${frontend.address}/health`)).status).toBe(200);
    expect((await fetch(`${frontend.address}/v1/models`)).status).toBe(200);
    leave.abort();
    await second;
    await expect.poll(async () => (await ask(frontend, 'hello')).status).toBe(200);
    expect(await (await fetch(`${frontend.address}/metrics`)).text()).toContain(
      'dynamo_frontend_refused_requests_total{limit="DYN_HTTP_MAX_QUEUED_REQUESTS"}',
    );
  });

  test('who leaves the queue frees it, and who waited is served', async () => {
    await using frontend = await open({ limits: { concurrent: 1, queued: 1 } });
    const first = new AbortController();
    const long = fetch(`${frontend.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'slowly' }] }),
      signal: first.signal,
    });
    await long;
    const { socket } = await dial(frontend);
    const body = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hello' }] });
    socket.write(`${post}content-length: ${body.length}\r\n\r\n${body}`);
    await expect.poll(async () => (await ask(frontend, 'hello')).status).toBe(529);
    socket.destroy();
    await sleep(50);
    const waiting = ask(frontend, 'hello');
    await sleep(50);
    first.abort();
    expect((await waiting).status).toBe(200);
  });

  test('out of range options are refused', async () => {
    await expect(open({ limits: { concurrent: 0 } })).rejects.toThrow('limits.concurrent must be a whole number from 1');
    await expect(open({ limits: { overloadStatus: 200 } })).rejects.toThrow('limits.overloadStatus must be a whole number from 400 to 599, got 200');
  });
});

describe('slow and endless clients', () => {
  test('headers without a body, and a body of a byte a moment, end in a 408 that says why', async () => {
    await using frontend = await open({ limits: { requestMs: 1_000 } });
    const [silent, dripping, half] = await Promise.all([dial(frontend), dial(frontend), dial(frontend)]);
    silent.socket.write(`${post}content-length: 100\r\n\r\n`);
    half.socket.write('POST /v1/chat/comp');
    dripping.socket.write(`${post}content-length: 100000\r\n\r\n`);
    const drip = setInterval(() => dripping.socket.write(' '), 100);
    try {
      await served(frontend);
      for (const { socket, text } of [silent, dripping, half]) {
        if (!socket.closed) await once(socket, 'close');
        expect(text()).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
        expect(JSON.parse(text().split('\r\n\r\n')[1] ?? '')).toMatchObject({
          code: 408,
          message: expect.stringContaining('DYN_HTTP_REQUEST_TIMEOUT_SECS'),
        });
      }
    } finally {
      clearInterval(drip);
    }
    await served(frontend);
  });

  test('an endless body is refused once it is too large, and its connection ends', async () => {
    await using frontend = await open({ bodyLimitMb: 1 });
    const { socket, text } = await dial(frontend);
    socket.write(`${post}transfer-encoding: chunked\r\n\r\n`);
    const chunk = `${(64 * 1024).toString(16)}\r\n${'x'.repeat(64 * 1024)}\r\n`;
    while (!socket.closed) {
      socket.write(chunk);
      await sleep(5);
    }
    // The reset that ends it may overtake the answer.
    expect(text()).toMatch(/^(HTTP\/1\.1 413 Payload Too Large\r\n.*exceeds the limit of 1 MB set by DYN_HTTP_BODY_LIMIT_MB.*)?$/s);
    await served(frontend);
  });

  test('many bodies together have a limit, and leave it when they go', async () => {
    await using frontend = await open({ limits: { bodiesMb: 2 } });
    const senders = await Promise.all([dial(frontend), dial(frontend)]);
    for (const { socket } of senders) {
      socket.write(`${post}content-length: ${1024 * 1024}\r\n\r\n`);
      socket.write('x'.repeat(900 * 1024));
    }
    // No JSON, so that being read is all that happens to it.
    const large = (): Promise<Response> =>
      fetch(`${frontend.address}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: 'y'.repeat(1_100_000),
      });
    await expect.poll(async () => (await large()).status, { timeout: 20_000 }).toBe(529);
    const refused = await large();
    expect(await refused.json()).toMatchObject({ details: { knob: 'DYN_HTTP_BODIES_LIMIT_MB', limit: 2 } });
    await served(frontend);
    for (const { socket } of senders) socket.destroy();
    await expect.poll(async () => (await large()).status, { timeout: 20_000 }).toBe(400);
  });

  test.each(['nothing', 'a byte a moment'])('a reader that takes %s is given up', async (takes) => {
    await using frontend = await open({ limits: { readerMs: 300 } });
    const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    const body = JSON.stringify({ model: 'tiny', stream: true, messages: [{ role: 'user', content: 'flood' }] });
    socket.write(`${post}content-length: ${body.length}\r\n\r\n${body}`);
    socket.pause();
    using sipping = new DisposableStack();
    if (takes !== 'nothing') {
      const timer = setInterval(() => void socket.read(1), 50);
      sipping.defer(() => clearInterval(timer));
    }
    await expect
      .poll(async () => (await fetch(`${frontend.address}/metrics`)).text(), { timeout: 20_000 })
      .toMatch(/requests_total\{endpoint="chat_completions",error_type="cancelled",model="tiny",request_type="stream",status="error"\} 1/);
    socket.destroy();
  });
});

describe('silent workers', () => {
  const told = { message: 'Request deadline exceeded', type: 'Gateway Timeout', code: 504 };
  const event = `data: ${JSON.stringify({ error: { message: 'Request deadline exceeded', type: 'timeout_error', code: 504 } })}\n\ndata: [DONE]\n\n`;

  test('no first item', async () => {
    await using frontend = await open({ limits: { firstItemMs: 200 } });
    const unary = await ask(frontend, 'silent');
    expect([unary.status, await unary.json()]).toEqual([504, told]);
    const stream = await ask(frontend, 'silent', { stream: true });
    expect([stream.status, await stream.text()]).toEqual([200, event]);
  });

  test('no further item', async () => {
    await using frontend = await open({ limits: { idleMs: 300 } });
    const unary = await ask(frontend, 'halting');
    expect([unary.status, await unary.json()]).toEqual([504, told]);
    const stream = await (await ask(frontend, 'halting', { stream: true })).text();
    expect(stream).toContain('"content":"one"');
    expect(stream.endsWith(event)).toBe(true);
    await served(frontend);
  });
});
