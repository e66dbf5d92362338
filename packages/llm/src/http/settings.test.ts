import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';
import { type HttpOptions, settleHttp } from './settings.ts';

let runtime: DistributedRuntime;
let worker: ScriptedWorker;
const end = { token_ids: [], finish_reason: 'stop' };

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  worker = await scriptedWorker(runtime, 'tok');
});
afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await runtime[Symbol.asyncDispose]();
});

const open = async (http: HttpOptions) => {
  const frontend = await new Llm(runtime).frontend({ access: { admin: 'open' }, http: { host: '127.0.0.1', port: 0, ...http } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['tok']), 10_000);
  const chat = (more: object = {}, path = '/v1/chat/completions'): Promise<Response> =>
    fetch(frontend.address + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tok', messages: [{ role: 'user', content: 'x' }], ...more }),
    });
  return { frontend, chat, status: async (path: string) => (await fetch(frontend.address + path)).status };
};

test('a renamed route answers under its new path, and the old one is unknown', async () => {
  worker.script = [{ _text: 'hi' }, end];
  const { frontend, chat, status } = await open({ paths: { chat: '/talk', models: '/list', health: '/up', live: '/alive', metrics: '/numbers' } });
  await using _frontend = frontend;
  expect([await status('/list'), await status('/list/tok'), await status('/list/tok/ready'), await status('/up')]).toEqual([200, 200, 200, 200]);
  expect([await status('/alive'), await status('/numbers')]).toEqual([200, 200]);
  expect((await chat({}, '/talk')).status).toBe(200);
  const old = await chat();
  expect([old.status, await old.json()]).toEqual([404, { message: 'Route not found: POST /v1/chat/completions', type: 'Not Found', code: 404 }]);
  expect([await status('/v1/models'), await status('/health')]).toEqual([404, 404]);
  const { paths } = (await (await fetch(`${frontend.address}/openapi.json`)).json()) as { paths: object };
  expect(Object.keys(paths)).toContain('/talk');
});

test('without the admin routes there are no thresholds', async () => {
  const { frontend } = await open({ admin: false });
  await using _frontend = frontend;
  for (const method of ['GET', 'POST']) {
    const answer = await fetch(`${frontend.address}/busy_threshold`, { method });
    expect([answer.status, await answer.json()]).toMatchObject([404, { message: `Route not found: ${method} /busy_threshold` }]);
  }
});

test('switched off, nvext is still checked and has no effect', async () => {
  worker.script = [{ _text: 'hi' }, end];
  worker.received.length = 0;
  const { frontend, chat } = await open({ nvext: false });
  await using _frontend = frontend;
  const answer = await chat({ nvext: { backend_instance_id: 7, extra_fields: ['worker_id'], annotations: ['a'] } });
  expect([answer.status, Object.keys((await answer.json()) as object)]).toEqual([200, ['id', 'choices', 'created', 'model', 'object', 'usage']]);
  expect(worker.received[0]?.request).toMatchObject({ routing: {}, annotations: [] });
  expect((await chat({ nvext: { surprise: 1 } })).status).toBe(400);
});

test('a silent stream is kept alive by comments, and begins with the first of them', async () => {
  worker.script = [{ _sleep: 0.5 }, { _text: 'a' }, { _sleep: 0.5 }, { _text: 'b' }, end];
  const { frontend, chat } = await open({ keepAliveMs: 100 });
  await using _frontend = frontend;
  const text = await (await chat({ stream: true })).text();
  const kinds = text
    .split('\n\n')
    .filter(Boolean)
    .map((event) => (event === ':' ? ':' : 'data'));
  expect(kinds[0]).toBe(':');
  expect(kinds.lastIndexOf(':')).toBeGreaterThan(kinds.indexOf('data'));
  expect(kinds.filter((kind) => kind === 'data')).toHaveLength(4);
});

test('a stream that waits for early errors makes statuses of them, but not for ever', async () => {
  const { frontend, chat } = await open({ errorPeekMs: 400 });
  await using _frontend = frontend;
  worker.script = [{ _raise: 'RuntimeError', msg: 'boom' }];
  const early = await chat({ stream: true });
  expect([early.status, await early.json()]).toMatchObject([500, { details: { backend_status: 500 } }]);
  worker.script = [{ _sleep: 0.8 }, { _raise: 'RuntimeError', msg: 'boom' }];
  const late = await chat({ stream: true });
  expect([late.status, await late.text()]).toEqual([200, expect.stringContaining('"code":500')]);
});

test('what can be no setting is refused by name', () => {
  const refused = (options: HttpOptions, message: string): void => {
    let thrown: unknown;
    try {
      settleHttp(options);
    } catch (error) {
      thrown = error;
    }
    expect(DynamoError.is(thrown, 'invalid_argument') ? thrown.message : thrown).toContain(message);
  };
  refused({ paths: { chat: 'talk' } }, "http.paths.chat must begin with a slash and be a plain path, got 'talk'");
  refused({ paths: { chat: '/v1/completions' } }, "have the same path '/v1/completions'");
  refused({ keepAliveMs: 0 }, 'http.keepAliveMs must be a whole number above 0, got 0');
  expect(settleHttp({ paths: { chat: '' } }).paths.chat).toBe('/v1/chat/completions');
});
