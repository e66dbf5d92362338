import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DistributedRuntime } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { hashKey } from '../access/key-file.ts';
import type { Frontend, FrontendOptions } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { modalEngine } from '../testing/modal-engine.ts';
import { tinyModel } from '../testing/scripted-worker.ts';

const entries = [
  { id: 'free' },
  { id: 'boss', admin: true },
  { id: 'other-model', models: ['large'] },
  { id: 'few', requestsPerMinute: 2 },
  { id: 'small', tokensPerMinute: 200 },
  { id: 'past', expires: '2020-01-01T00:00:00Z' },
];
const keyOf = (id: string): string => `dyn-test-${id}`;

let runtime: DistributedRuntime;
let folder: string;
let frontend: Frontend;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dynamo-access-'));
  const lines = entries.map((entry) => JSON.stringify({ ...entry, sha256: hashKey(keyOf(entry.id)).toString('hex') }));
  await writeFile(join(folder, 'keys'), lines.join('\n'));
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  await new Llm(runtime).serve({ endpoint: 'access.backend.generate', model: tinyModel, name: 'tiny', engine: modalEngine as never });
  frontend = await open({ access: { keysPath: join(folder, 'keys') } });
});
afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function open(options: FrontendOptions): Promise<Frontend> {
  const opened = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, ...options });
  await vi.waitFor(() => expect(opened.models).toEqual(['tiny']), 10_000);
  return opened;
}

const ask = (key: string | undefined, more: object = {}, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key === undefined ? {} : { authorization: `Bearer ${key}` }), ...headers },
    body: JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hi' }], ...more }),
  });

const errorOf = async (response: Response): Promise<unknown> => [response.status, ((await response.json()) as { error: unknown }).error];

describe('who asks', () => {
  test('a known key is served, in either header', async () => {
    expect((await ask(keyOf('free'))).status).toBe(200);
    expect((await ask(undefined, {}, { 'x-api-key': keyOf('free') })).status).toBe(200);
  });

  test.each([
    ['none', undefined, "There is no API key: send it as 'Authorization: Bearer KEY'", 'invalid_api_key'],
    ['an unknown one', 'dyn-nobody', 'The API key is not known here', 'invalid_api_key'],
    ['its hash', hashKey(keyOf('free')).toString('hex'), 'The API key is not known here', 'invalid_api_key'],
    ['an expired one', keyOf('past'), "API key 'past' has expired", 'expired_api_key'],
  ])('%s is a 401 in the shape of OpenAI', async (_name, key, message, code) => {
    const response = await ask(key);
    expect(response.headers.get('www-authenticate')).toBe('Bearer realm="dynamo"');
    expect(await errorOf(response)).toEqual([401, { message, type: 'invalid_request_error', param: null, code }]);
  });

  test('nothing but liveness is open without a key, whatever the path and its spelling', async () => {
    for (const path of ['/live', '/health']) expect((await fetch(frontend.address + path)).status).toBe(200);
    for (const path of ['/v1/models', '/metrics', '/nothing', '/%761/models', '//health', '/busy_threshold'])
      expect((await fetch(frontend.address + path)).status).toBe(401);
    const headers = { authorization: `Bearer ${keyOf('free')}` };
    expect((await fetch(`${frontend.address}/v1/models`, { headers })).status).toBe(200);
  });

  test('a body is not read for nobody', async () => {
    const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1');
    let got = '';
    socket.on('error', () => {}).on('data', (chunk: Buffer) => (got += chunk.toString()));
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n');
    await expect.poll(() => got).toMatch(/^HTTP\/1\.1 401 /);
    // And whoever sends on without an end is cut off.
    const chunk = `${(1024 * 1024).toString(16)}\r\n${'x'.repeat(1024 * 1024)}\r\n`;
    // One wait at a time, which leaves no listener behind: what wakes it ends it.
    let wake = (): void => undefined;
    socket.on('drain', () => wake()).on('close', () => wake());
    let sent = 0;
    while (!socket.closed) {
      const woken = new Promise<void>((resolve) => (wake = resolve));
      if (!socket.write(chunk) && !socket.closed) await woken;
      sent++;
    }
    expect(sent).toBeLessThan(100);
  });

  test('a model that the key may not ask is a 403', async () => {
    expect(await errorOf(await ask(keyOf('other-model')))).toEqual([
      403,
      { message: "API key 'other-model' may not ask model 'tiny'", type: 'invalid_request_error', param: null, code: 'model_not_allowed' },
    ]);
  });

  test('the OpenAI client reads these errors as its own classes', async () => {
    const client = (apiKey: string): OpenAI => new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey, maxRetries: 0 });
    await expect(client('wrong').models.list()).rejects.toBeInstanceOf(OpenAI.AuthenticationError);
    const body = { model: 'tiny', messages: [{ role: 'user' as const, content: 'hi' }] };
    await expect(client(keyOf('other-model')).chat.completions.create(body)).rejects.toBeInstanceOf(OpenAI.PermissionDeniedError);
  });
});

describe('how much', () => {
  test('requests a minute', async () => {
    const first = await ask(keyOf('few'));
    expect([first.status, first.headers.get('x-ratelimit-limit-requests'), first.headers.get('x-ratelimit-remaining-requests')]).toEqual([
      200,
      '2',
      '1',
    ]);
    // A request that is wrong counts, too.
    expect((await ask(keyOf('few'), { temperature: 9 })).status).toBe(400);
    const refused = await ask(keyOf('few'));
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await errorOf(refused)).toEqual([
      429,
      {
        message: expect.stringMatching(/^Limit of API key 'few' reached: 2 requests a minute, 0 left, 1 asked for; try again in \d+ s$/),
        type: 'requests',
        param: null,
        code: 'rate_limit_exceeded',
      },
    ]);
  });

  test('tokens a minute are reserved before the answer and settled after it', async () => {
    const stream = await ask(keyOf('small'), { stream: true, max_tokens: 120 });
    expect(stream.status).toBe(200);
    const remaining = Number(stream.headers.get('x-ratelimit-remaining-tokens'));
    expect(remaining).toBeLessThan(80);
    expect(await stream.text()).toContain('[DONE]');
    const large = await ask(keyOf('small'), { max_tokens: 500 });
    expect(large.headers.get('retry-after')).toBeNull();
    expect(await errorOf(large)).toEqual([
      429,
      expect.objectContaining({ type: 'tokens', message: expect.stringContaining('which it never has at once') }),
    ]);
    // The few tokens that were used are gone, the rest of the reservation has come back.
    const next = await ask(keyOf('small'), { max_tokens: 10 });
    expect(next.status).toBe(200);
    expect(Number(next.headers.get('x-ratelimit-remaining-tokens'))).toBeGreaterThan(remaining);
  });
});

describe('admin routes', () => {
  const admin = (opened: Frontend, key?: string): Promise<Response> =>
    fetch(`${opened.address}/busy_threshold`, { headers: key === undefined ? {} : { authorization: `Bearer ${key}` } });

  test('with keys they need one with admin rights', async () => {
    expect(await errorOf(await admin(frontend, keyOf('free')))).toEqual([403, expect.objectContaining({ code: 'admin_required' })]);
    expect([200, 404]).toContain((await admin(frontend, keyOf('boss'))).status);
  });

  test('without keys they are closed, unless somebody opens them', async () => {
    await using guarded = await open({});
    await using wide = await open({ access: { admin: 'open' } });
    await using off = await open({ access: { admin: 'open' }, http: { host: '127.0.0.1', port: 0, admin: false } });
    expect([(await admin(guarded)).status, (await admin(wide)).status, (await admin(off)).status]).toEqual([403, 200, 404]);
    expect((await fetch(`${guarded.address}/busy%5Fthreshold`)).status).toBe(403);
  });
});
