import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime, type HandlerContext } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import type { TokenRequest } from '@dynamo/kv-router';
import { tinyIds, tinyModel } from '../testing/scripted-worker.ts';

let runtime: DistributedRuntime;
let frontend: Frontend;
let openai: OpenAI;
const ends: string[] = [];

/** `flood` streams without end; `slowly` a token every 5 ms; anything else is answered with "fine". */
async function* engine(request: TokenRequest, { signal }: HandlerContext) {
  const prompt = Buffer.from(request.tokenIds.filter((id) => id < 256)).toString();
  const mode = prompt.includes('flood') ? 'flood' : prompt.includes('slowly') ? 'slowly' : 'fine';
  try {
    if (mode === 'flood') while (!signal.aborted) yield { tokenIds: tinyIds('x'.repeat(1000)) };
    else if (mode === 'slowly') {
      for (let i = 0; i < 2_000 && !signal.aborted; i++) {
        await sleep(5);
        yield { tokenIds: tinyIds('.') };
      }
    } else yield { tokenIds: tinyIds('fine') };
    yield { tokenIds: [], finishReason: 'stop' as const };
  } finally {
    ends.push(`${mode} ${signal.aborted ? 'aborted' : 'done'}`);
  }
}

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const llm = new Llm(runtime);
  await llm.serve({ endpoint: 'bad.backend.generate', model: tinyModel, name: 'tiny', engine });
  frontend = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
  openai = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none', maxRetries: 0 });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

const chat = (content: string): { model: string; messages: { role: 'user'; content: string }[] } => ({
  model: 'tiny',
  messages: [{ role: 'user', content }],
});

/** Everybody else is still served. */
const others = async (): Promise<void> => {
  const answer = await openai.chat.completions.create(chat('hello'));
  expect(answer.choices[0]?.message.content).toBe('fine');
};

const post = (body: string | Buffer, headers: Record<string, string> = { 'content-type': 'application/json' }): Promise<Response> =>
  fetch(`${frontend.address}/v1/chat/completions`, { method: 'POST', headers, body });

test.each([
  ['nothing', ''],
  ['half an object', '{"model": "tiny", "messages": ['],
  ['no JSON', 'hello'],
  ['deep nesting', `{"model":"tiny","messages":${'['.repeat(100_000)}`],
  ['deep nesting that is closed', `{"model":"tiny","messages":${'['.repeat(50_000)}${']'.repeat(50_000)}}`],
  ['bytes that are no UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d])],
  ['a member named __proto__', '{"__proto__":{"model":"tiny"},"messages":[]}'],
  ['a number without end', `{"model":"tiny","temperature":${'9'.repeat(100_000)},"messages":[{"role":"user","content":"x"}]}`],
])('%s is a clear 400', async (_name, body) => {
  const response = await post(body);
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ type: 'Bad Request', code: 400, message: expect.stringMatching(/./) });
  await others();
});

test('a body over the limit is refused with the limit and its variable', async () => {
  const response = await post(Buffer.alloc(46 * 1024 * 1024, 0x20)).catch((error: unknown) => error);
  // The server may close before all of it is sent.
  if (response instanceof Response) {
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ message: 'Request body exceeds the limit of 45 MB set by DYN_HTTP_BODY_LIMIT_MB' });
  }
  await others();
});

test('a body of 33 MiB is read, and what comes of it is told', { timeout: 120_000 }, async () => {
  const large = JSON.stringify({ ...chat('a'.repeat(33 * 1024 * 1024)), max_tokens: 1 });
  const answering = post(large);
  // Others are served while it is being tokenized.
  for (let i = 0; i < 5; i++) await others();
  const response = await answering;
  expect({ status: response.status, text: (await response.text()).slice(0, 300) }).toMatchObject({ status: expect.any(Number) });
  expect([200, 400, 413, 529]).toContain(response.status);
});

test('a flood of headers is refused', async () => {
  const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n');
  for (let i = 0; i < 2_000; i++) socket.write(`x-flood-${i}: ${'y'.repeat(100)}\r\n`);
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  await new Promise((resolve) => socket.once('close', resolve));
  // The reset that follows may overtake the answer.
  expect(Buffer.concat(chunks).toString()).toMatch(/^(HTTP\/1\.1 431 .*)?/s);
  expect(Buffer.concat(chunks).toString()).not.toContain(' 200 ');
  await others();
});

test('metadata headers have a limit', async () => {
  const headers = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`x-dynamo-meta-${i}`, 'v']));
  const response = await post(JSON.stringify(chat('hello')), { 'content-type': 'application/json', ...headers });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ message: expect.stringContaining('limit of 64 members') });
});

test('a reader that takes nothing holds its worker back, and frees it when it goes', async () => {
  const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1');
  socket.on('error', () => {});
  const body = JSON.stringify({ ...chat('flood'), stream: true });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  socket.pause();
  await sleep(500);
  const before = process.memoryUsage();
  for (let i = 0; i < 10; i++) await others();
  await sleep(1_000);
  const after = process.memoryUsage();
  // An endless stream would have brought hundreds of MB in that time.
  expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(100 * 1024 * 1024);
  expect(ends).not.toContain('flood aborted');
  socket.destroy();
  await expect.poll(() => ends, { timeout: 10_000 }).toContain('flood aborted');
});

test('a client that leaves a stream, or an answer it waits for, stops the worker', async () => {
  for (const stream of [true, false]) {
    ends.length = 0;
    const leave = new AbortController();
    const asking = openai.chat.completions.create({ ...chat('slowly'), stream }, { signal: leave.signal });
    const outcome = Promise.resolve(asking).catch((error: unknown) => error);
    await sleep(200);
    leave.abort();
    await outcome;
    await expect.poll(() => ends, { timeout: 5_000 }).toContain('slowly aborted');
  }
  const text = await (await fetch(`${frontend.address}/metrics`)).text();
  expect(text).toMatch(
    /dynamo_frontend_requests_total\{endpoint="chat_completions",error_type="cancelled",model="tiny",request_type="unary",status="error"\} 1/,
  );
  expect(text).toContain('dynamo_frontend_inflight_requests{model="tiny"} 0');
});

test('the port of another server is named', async () => {
  const port = Number(new URL(frontend.address).port);
  await expect(new Llm(runtime).frontend({ http: { host: '127.0.0.1', port } })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: `port ${port} on 127.0.0.1 is in use`,
  });
  await expect(new Llm(runtime).frontend({ http: { port: 70_000 } })).rejects.toMatchObject({ message: expect.stringContaining('0 and 65535') });
  await others();
});

test('closing lets running answers end and refuses new ones', async () => {
  const second = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(second.models).toEqual(['tiny']));
  const response = await fetch(`${second.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...chat('slowly'), stream: true, stop: ['....................'] }),
  });
  const closing = second[Symbol.asyncDispose]();
  expect(await response.text()).toContain('data: [DONE]');
  await closing;
  await second.closed;
  await expect(fetch(second.address)).rejects.toThrow();
});
