import { type Client, DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { mem, memEvents, MemEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../../frontend/frontend.ts';
import { Llm } from '../../llm.ts';
import { tinyModel } from '../../testing/scripted-worker.ts';
import { event, giveBack, piece, type ScriptedUpstream, scriptedUpstream } from '../../testing/scripted-upstream.ts';
import { serveUpstream, type ServeUpstreamOptions, type UpstreamWorker } from './serve-upstream.ts';

let stack: AsyncDisposableStack;
let frontend: Frontend;
let connect: () => Promise<DistributedRuntime>;
let caller: Client<object, unknown>;
let logged: [string, object][];

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  logged = [];
  const store = new MemStore();
  const events = new MemEvents();
  connect = async () => {
    const discovery = mem(store);
    return DistributedRuntime.connect({ discovery, eventPlane: memEvents(events), system: false });
  };
  const runtime = stack.use(await connect());
  caller = stack.use(await runtime.client('k.backend.generate'));
  frontend = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, migrationLimit: 0 }));
});
afterEach(() => stack.disposeAsync());

const log = Object.fromEntries(
  ['trace', 'debug', 'info', 'warn', 'error'].map((level) => [
    level,
    (fields: object, text: string) => void logged.push([`${level} ${text}`, fields]),
  ]),
) as unknown as ServeUpstreamOptions['log'];

const serve = (upstream: ScriptedUpstream, options: Partial<ServeUpstreamOptions> = {}): UpstreamWorker =>
  stack.use(
    serveUpstream({
      url: upstream.url,
      connect,
      endpointOf: () => 'k.backend.generate',
      model: { folder: tinyModel },
      times: { probeMs: 20, idleMs: 30_000 },
      log,
      ...options,
    }),
  );
const listed = async (count: number): Promise<void> => vi.waitFor(() => expect(frontend.models).toHaveLength(count), 10_000);
const open = async (script: Parameters<typeof scriptedUpstream>[0] = {}, options: Partial<ServeUpstreamOptions> = {}): Promise<ScriptedUpstream> => {
  const upstream = stack.use(await scriptedUpstream(script));
  await serve(upstream, options).ready;
  await listed(1);
  return upstream;
};
const ask = (body: object = {}, init: RequestInit = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'up', prompt: 'abcdef', max_tokens: 3, ...body }),
    ...init,
  });
const answer = async (body: object = {}): Promise<any> => (await ask(body)).json();

describe('requests', () => {
  test('go to the upstream as token ids, and its ids come back as text', async () => {
    const upstream = await open();
    const { choices, usage } = await answer({ temperature: 0.5, seed: 7, stop: ['zz'], min_tokens: 2 });
    expect(choices).toMatchObject([{ text: 'abc', finish_reason: 'length' }]);
    expect(usage).toMatchObject({ prompt_tokens: 6, completion_tokens: 3 });
    const [request] = upstream.requests;
    expect(request?.body).toMatchObject({
      model: 'up',
      stream: true,
      return_token_ids: true,
      max_tokens: 3,
      min_tokens: 2,
      temperature: 0.5,
      seed: 7,
    });
    expect(request?.body['prompt']).toHaveLength(6);
    expect(request?.headers['x-request-id']).toBeTruthy();
  });

  test('a request without a limit may fill the context', async () => {
    const upstream = await open();
    await answer({ max_tokens: undefined });
    expect(upstream.requests[0]?.body['max_tokens']).toBe(506);
  });

  test('text alone is enough', async () => {
    await open({
      answer: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(event({ choices: [{ index: 0, text: 'Hel', finish_reason: null }] }));
        response.end(event({ choices: [{ index: 0, text: 'lo', finish_reason: 'stop' }], usage: { prompt_tokens: 6, completion_tokens: 9 } }));
      },
    });
    // The frontend counts the tokens of the text itself.
    expect(await answer()).toMatchObject({ choices: [{ text: 'Hello', finish_reason: 'stop' }], usage: { completion_tokens: 5 } });
  });

  test('its cached tokens are reported', async () => {
    await open({
      answer: (_request, response) => whole(response, { prompt_tokens: 6, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 4 } }),
    });
    expect((await answer()).usage.prompt_tokens_details).toMatchObject({ cached_tokens: 4 });
  });

  test('a client that leaves ends the request at the upstream', async () => {
    const upstream = await open({
      answer: (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(event(piece([97])));
      },
    });
    const leaving = new AbortController();
    const response = await ask({ stream: true }, { signal: leaving.signal });
    const reader = response.body!.getReader();
    await reader.read();
    leaving.abort();
    await upstream.requests[0]?.left;
  });

  test('several upstreams share the requests of one model', async () => {
    const [a, b] = [await open(), stack.use(await scriptedUpstream())];
    await serve(b!).ready;
    await vi.waitFor(async () => {
      await answer();
      expect(a!.requests.length * b!.requests.length).toBeGreaterThan(0);
    }, 10_000);
  });

  test('without a model folder the client is passed on, chat and completions', async () => {
    const upstream = stack.use(
      await scriptedUpstream({
        answer: ({ path }, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' });
          const choice = path.includes('chat') ? { delta: { role: 'assistant', content: 'hey' } } : { text: 'hey' };
          const object = path.includes('chat') ? 'chat.completion.chunk' : 'text_completion';
          response.write(event({ id: 'x', object, created: 1, model: 'm', choices: [{ index: 0, ...choice, finish_reason: 'stop' }] }));
          response.end(event('[DONE]'));
        },
      }),
    );
    await serve(upstream, { model: {} }).ready;
    await listed(1);
    expect(await answer()).toMatchObject({ choices: [{ text: 'hey' }] });
    const chat = await fetch(`${frontend.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'up', messages: [{ role: 'user', content: 'hi' }] }),
    });
    expect(await chat.json()).toMatchObject({ model: 'up', choices: [{ message: { content: 'hey' } }] });
    expect(upstream.requests.map(({ path }) => path)).toEqual(['/v1/completions', '/v1/chat/completions']);
  });
});

describe('an upstream that', () => {
  const stream =
    (...parts: string[]): ScriptedUpstream['script']['answer'] =>
    (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (const part of parts) response.write(part);
      response.end();
    };
  const status =
    (code: number, text: string, type = 'application/json'): ScriptedUpstream['script']['answer'] =>
    (_request, response) =>
      void response.writeHead(code, { 'content-type': type }).end(text);

  test.each<[string, ScriptedUpstream['script']['answer'], number, string, string]>([
    ['answers HTML', status(200, '<html>', 'text/html'), 500, 'backend_protocol', 'answered /v1/completions with text/html'],
    ['answers plain JSON', status(200, '{"choices":[]}'), 500, 'backend_protocol', 'application/json'],
    ['sends wrong JSON', stream('data: {"choices"\n\n'), 500, 'backend_protocol', 'none of a completion'],
    ['sends another shape', stream(event({ hello: 1 })), 500, 'backend_protocol', 'none of a completion'],
    ['sends wrong ids', stream(event(piece([-1]))), 500, 'backend_protocol', 'none of a completion'],
    ['cuts the stream', stream(event(piece(undefined))), 503, 'stream_incomplete', 'broke its answer off'],
    ['hangs up at once', (_request, response) => void response.destroy(), 503, 'engine_shutdown', 'can not be reached'],
    ['fails inside', stream(event({ error: { message: 'out of memory', code: 500 } })), 500, 'unknown', 'out of memory'],
    ['refuses', status(400, '{"error":{"message":"max_tokens is too large"}}'), 400, 'invalid_argument', 'max_tokens is too large'],
    ['is full', status(429, '{"detail":"try later"}'), 529, 'worker_overloaded', 'try later'],
    ['fails', status(500, 'oops', 'text/plain'), 500, 'unknown', 'answered 500'],
  ])('%s', async (_name, script, status, code, words) => {
    const upstream = await open({ answer: script });
    // Whoever calls the worker gets the whole story, clients of the frontend a status.
    const request = { model: 'up', token_ids: [97], stop_conditions: { max_tokens: 1 }, sampling_options: {}, output_options: {} };
    await expect(drained(caller.generate(request))).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
    await vi.waitFor(async () => expect((await ask()).status).toBe(status), 10_000);
    // And the fleet goes on; where another worker should be asked, callers leave this one alone for some seconds.
    if (status === 503) return;
    upstream.script.answer = giveBack;
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), 10_000);
  });

  test('stalls', async () => {
    const upstream = await open({ answer: () => undefined }, { times: { probeMs: 50, idleMs: 200 } });
    const response = await ask();
    expect({ status: response.status, text: await response.text() }).toMatchObject({ status: 504 });
    upstream.script.answer = giveBack;
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), 10_000);
  });

  test('lies about cached tokens is not believed, and told of once', async () => {
    await open({
      answer: (_request, response) => whole(response, { prompt_tokens: 6, completion_tokens: 1, prompt_tokens_details: { cached_tokens: 4_000 } }),
    });
    for (let at = 0; at < 3; at++) expect((await answer()).usage.prompt_tokens_details ?? null).toBeNull();
    expect(logged.filter(([text]) => text.includes('cached tokens'))).toHaveLength(1);
  });

  test('dies is withdrawn, and served again when it is back', async () => {
    const upstream = await open();
    const other = stack.use(await scriptedUpstream());
    await serve(other).ready;
    await upstream[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(logged.some(([text]) => text.includes('has gone'))).toBe(true), 10_000);
    // The rest of the fleet answers meanwhile.
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), 10_000);
    const back = stack.use(await scriptedUpstream({}, upstream.port));
    await vi.waitFor(async () => {
      await answer();
      expect(back.requests.length).toBeGreaterThan(0);
    }, 20_000);
  });

  test('is ill gets no requests until it is well', async () => {
    const upstream = await open();
    upstream.script.health = 503;
    await vi.waitFor(async () => expect((await ask()).status).not.toBe(200), 10_000);
    upstream.script.health = 200;
    await vi.waitFor(async () => expect((await ask()).status).toBe(200), 10_000);
  });

  test('is not what it should be is waited for, with the reason', async () => {
    const upstream = stack.use(await scriptedUpstream({ models: '<html>' }));
    const worker = serve(upstream);
    await vi.waitFor(() => expect(JSON.stringify(logged)).toContain('something else than a list of models: <html>'), 10_000);
    upstream.script.models = { data: [{ id: 'up' }] };
    await worker.ready;
    await listed(1);
  });

  test('has no address, and token ids without a folder, are refused', async () => {
    expect(() => serveUpstream({ url: 'nowhere', connect, endpointOf: () => 'a.b.c', log })).toThrow(DynamoError);
    const upstream = stack.use(await scriptedUpstream());
    await expect(serve(upstream, { model: { input: 'tokens' } }).ready).rejects.toMatchObject({ code: 'invalid_argument' });
  });
});

test('its metrics give the card its blocks', async () => {
  const metrics =
    'vllm:cache_config_info{_block_size_resolved="True",block_size="32",num_gpu_blocks="64",num_cpu_blocks="None"} 1.0\nvllm:kv_cache_usage_perc{engine="0"} 0.25\n';
  const cards: any[] = [];
  await open({ metrics }, { onServed: (_served, card) => void cards.push(card) });
  expect(cards[0]).toMatchObject({
    kv_cache_block_size: 32,
    context_length: 512,
    runtime_config: { total_kv_blocks: 64, enable_local_indexer: false },
  });
});

async function drained(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _item of items);
}

function whole(response: Parameters<ScriptedUpstream['script']['answer']>[1], usage: object): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.write(event(piece([97], { finish_reason: 'stop' })));
  response.write(event({ choices: [], usage }));
  response.end(event('[DONE]'));
}
