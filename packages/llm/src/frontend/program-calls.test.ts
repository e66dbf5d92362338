import { fileURLToPath } from 'node:url';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import type { Engine } from '../worker/engine.ts';
import type { Frontend } from './frontend.ts';

const model = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));
const messages = [{ role: 'user', content: 'Go on!' }];

/** How the engine's last answer has ended. */
let ended: Promise<string>;

/** Says the alphabet until it is stopped; fails, or waits forever, where the request's limit says so. */
const alphabet: Engine = async function* (request, { signal }) {
  const done = Promise.withResolvers<string>();
  ended = done.promise;
  const most = request.stop?.maxTokens ?? 26;
  try {
    if (most === 13) throw new DynamoError('invalid_argument', 'thirteen is too many');
    for (let index = 0; index < most && !signal.aborted; index++) {
      if (most === 99 && index === 3) await new Promise((resolve) => signal.addEventListener('abort', resolve));
      const last = index === most - 1;
      yield { tokenIds: [97 + (index % 26)], ...(last ? { finishReason: 'length' as const } : {}) };
    }
  } finally {
    done.resolve(signal.aborted ? 'stopped' : 'complete');
  }
};

let runtime: DistributedRuntime;
let fleet: Frontend;
let local: Frontend;

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const llm = new Llm(runtime);
  await llm.serve({ endpoint: 'p.alphabet.generate', model, name: 'alphabet', engine: alphabet });
  fleet = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
  local = await llm.frontend({ http: { host: '127.0.0.1', port: 0 }, engine: { model, name: 'alphabet', run: alphabet, aliases: ['abc'] } });
  await vi.waitFor(() => expect(fleet.models).toEqual(['alphabet']), 10_000);
});

afterAll(async () => {
  await runtime[Symbol.asyncDispose]();
});

/** Reads a stream to its end. */
async function all<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

const failing = async (stream: AsyncIterable<unknown>): Promise<unknown> =>
  all(stream).then(
    () => undefined,
    (error: unknown) => error,
  );

describe.each([
  ['over workers', () => fleet],
  ['over an engine of this process', () => local],
])('%s', (_kind, frontendOf) => {
  test('a chat gives the chunks that a client over HTTP gets', async () => {
    const frontend = frontendOf();
    const request = { model: 'alphabet', messages, max_tokens: 4, stream_options: { include_usage: true } };
    const own = await all(frontend.chat(request));
    expect(own.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('abcd');
    expect(own.at(-1)?.usage).toMatchObject({ completion_tokens: 4 });
    const openai = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none', maxRetries: 0 });
    const theirs = await all(await openai.chat.completions.create({ ...request, messages: [{ role: 'user', content: 'Go on!' }], stream: true }));
    const plain = (chunk: object): object => ({ ...chunk, id: '', created: 0 });
    expect(own.map(plain)).toEqual(theirs.map(plain));
  });

  test('a completion takes texts and token ids, and several prompts', async () => {
    const chunks = await all(frontendOf().complete({ model: 'alphabet', prompt: [[1], [2, 3]], max_tokens: 2 }));
    const text = (index: number): string =>
      chunks.flatMap(({ choices }) => choices.filter((choice) => choice.index === index).map((choice) => choice.text)).join('');
    expect([text(0), text(1)]).toEqual(['ab', 'ab']);
  });

  test('leaving the loop stops the engine', async () => {
    for await (const chunk of frontendOf().chat({ model: 'alphabet', messages, max_tokens: 99 })) {
      expect(chunk.model).toBe('alphabet');
      break;
    }
    expect(await ended).toBe('stopped');
  });

  test('a signal ends the stream with a cancelled error and stops the engine', async () => {
    const stop = new AbortController();
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const chunk of frontendOf().chat({ model: 'alphabet', messages, max_tokens: 99 }, { signal: stop.signal }))
        if (seen.push(chunk) === 2) stop.abort();
    })();
    await expect(reading).rejects.toMatchObject({ name: 'DynamoError', code: 'cancelled' });
    expect(await ended).toBe('stopped');
    expect(seen.length).toBeGreaterThanOrEqual(2);
  });

  test('a time limit ends the stream', async () => {
    expect(await failing(frontendOf().chat({ model: 'alphabet', messages, max_tokens: 99 }, { timeoutMs: 50 }))).toMatchObject({
      code: 'deadline_exceeded',
    });
    expect(await ended).toBe('stopped');
  });

  test('failures are errors with the codes of the pipeline', async () => {
    const frontend = frontendOf();
    expect(await failing(frontend.chat({ model: 'nobody', messages }))).toMatchObject({ code: 'not_found' });
    expect(await failing(frontend.chat({ model: 'alphabet', messages: [] }))).toMatchObject({ code: 'invalid_argument' });
    expect(await failing(frontend.chat({ model: 'alphabet', messages, temperature: 9 }))).toMatchObject({ code: 'invalid_argument' });
    expect(await failing(frontend.chat({ model: 'alphabet', messages, max_tokens: 13 }))).toMatchObject({
      code: 'invalid_argument',
      message: 'thirteen is too many',
      data: { remote: true },
    });
    await expect(frontend.embed({ model: 'alphabet', input: 'x' })).rejects.toMatchObject({ code: 'not_found' });
  });

  test('token ids outside the vocabulary are refused, as over HTTP', async () => {
    const frontend = frontendOf();
    expect(await failing(frontend.complete({ model: 'alphabet', prompt: [1, 263] }))).toMatchObject({
      code: 'invalid_argument',
      data: { tokenId: 263 },
    });
    expect(await all(frontend.complete({ model: 'alphabet', prompt: [1, 262], max_tokens: 1 }))).toHaveLength(1);
    const bodies = [
      ['/v1/completions', { prompt: [1, 263] }],
      ['/v1/completions', { prompt: [[1], [263]], stream: true }],
      ['/v1/completions', { prompt: 'x', nvext: { token_data: [263] } }],
      ['/v1/chat/completions', { messages, nvext: { token_data: [4_294_967_295] } }],
    ] as const;
    for (const [path, body] of bodies) {
      const { status, body: told } = await frontend.inject({ method: 'POST', path, body: { model: 'alphabet', ...body } });
      expect([status, JSON.parse(told)]).toEqual([400, { message: 'Invalid request', type: 'Bad Request', code: 400 }]);
    }
  });

  test('calls are counted beside those over HTTP', async () => {
    const frontend = frontendOf();
    await all(frontend.complete({ model: 'alphabet', prompt: 'x', max_tokens: 1 }));
    const { body } = await frontend.inject({ path: '/metrics' });
    expect(body).toMatch(
      /dynamo_frontend_requests_total\{endpoint="completions",error_type="",model="alphabet",request_type="stream",status="success"\} \d/,
    );
    expect(body).toMatch(/error_type="cancelled",model="alphabet",request_type="stream",status="error"\} \d/);
    expect(body).toContain('dynamo_frontend_inflight_requests{model="alphabet"} 0\n');
  });

  test('a request without a socket gets what one over HTTP gets', async () => {
    const frontend = frontendOf();
    const body = { model: 'alphabet', prompt: 'x', max_tokens: 2 };
    const whole = await frontend.inject({ method: 'POST', path: '/v1/completions', body });
    expect(whole).toMatchObject({ status: 200, headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(whole.body)).toMatchObject({ choices: [{ text: 'ab', finish_reason: 'length' }] });
    const stream = await frontend.inject({ method: 'POST', path: '/v1/completions', body: { ...body, stream: true } });
    expect(stream).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    expect(stream.body.endsWith('data: [DONE]\n\n')).toBe(true);
    expect(
      await frontend.inject({ method: 'POST', path: '/v1/completions', body: '{', headers: { 'content-type': 'application/json' } }),
    ).toMatchObject({ status: 400 });
    expect(await frontend.inject({ path: '/nowhere' })).toMatchObject({ status: 404 });
    expect(await frontend.inject({ path: '/v1/models/alphabet' })).toMatchObject({ status: 200 });
  });
});

test('an engine of this process is there at once, under all its names, and needs no port', async () => {
  await using frontend = await new Llm(runtime).frontend({ http: false, engine: { model, name: 'alphabet', aliases: ['abc'], run: alphabet } });
  expect(frontend.models).toEqual(['alphabet', 'abc']);
  expect(frontend.address).toBe('');
  expect(await all(frontend.complete({ model: 'abc', prompt: 'x', max_tokens: 1 }))).toMatchObject([{ model: 'alphabet' }]);
  expect(JSON.parse((await frontend.inject({ path: '/health' })).body)).toEqual({ status: 'healthy', endpoints: [], instances: [] });
});

test('an engine that brings its own tokenizer, and one that makes vectors', async () => {
  await using text = await new Llm(runtime).frontend({
    http: false,
    engine: {
      model,
      name: 'talk',
      input: 'text',
      surfaces: ['chat', 'embedding'],
      async *run(request: { model: string; temperature?: number; messages?: unknown[]; input?: string }, { id }: { id: string }) {
        if (request.input !== undefined) {
          yield {
            object: 'list',
            model: request.model,
            data: [{ index: 0, object: 'embedding', embedding: [1, 2] }],
            usage: { prompt_tokens: 1, total_tokens: 1 },
          };
          return;
        }
        const choices = [{ index: 0, delta: { content: `${typeof request.temperature}` }, finish_reason: 'stop' }];
        yield { id, object: 'chat.completion.chunk', created: 5, model: request.model, choices };
      },
    },
  });
  // Numbers are plain ones, however they would have been spelled on a wire.
  expect(await all(text.chat({ model: 'talk', messages, temperature: 1 }))).toMatchObject([{ choices: [{ delta: { content: 'number' } }] }]);
  expect(await text.embed({ model: 'talk', input: 'x', encoding_format: 'float' })).toMatchObject({ data: [{ embedding: [1, 2] }] });
});

test('closing waits for calls of the program, ends what takes too long, and takes no new ones', async () => {
  const frontend = await new Llm(runtime).frontend({ http: false, drainMs: 50, engine: { model, name: 'alphabet', run: alphabet } });
  const reading = failing(frontend.chat({ model: 'alphabet', messages, max_tokens: 99 }));
  await vi.waitFor(async () =>
    expect((await frontend.inject({ path: '/metrics' })).body).toContain('dynamo_frontend_inflight_requests{model="alphabet"} 1'),
  );
  await frontend[Symbol.asyncDispose]();
  expect(await reading).toMatchObject({ code: 'unavailable' });
  expect(await failing(frontend.chat({ model: 'alphabet', messages }))).toMatchObject({ code: 'unavailable' });
});

test('an engine that never waits holds nobody else up', async () => {
  await using frontend = await new Llm(runtime).frontend({
    http: false,
    engine: {
      model,
      name: 'flood',
      async *run() {
        for (;;) yield { tokenIds: [97] };
      },
    },
  });
  expect(await failing(frontend.complete({ model: 'flood', prompt: 'x' }, { timeoutMs: 30 }))).toMatchObject({ code: 'deadline_exceeded' });
});

test("the program's own routes answer beside the frontend's", async () => {
  await using frontend = await new Llm(runtime).frontend({
    http: false,
    engine: { model, name: 'alphabet', run: alphabet },
    routes: [
      { path: '/version', answer: ({ models, query }) => ({ version: 3, models, query }) },
      { path: '/teapot', method: 'POST', answer: async ({ body }) => ({ status: 418, body: { got: body } }) },
      {
        path: '/broken',
        answer: () => {
          throw new Error('a secret');
        },
      },
    ],
  });
  const get = async (path: string): Promise<unknown> => JSON.parse((await frontend.inject({ path })).body);
  expect(await get('/version?deep=yes')).toEqual({ version: 3, models: ['alphabet'], query: { deep: 'yes' } });
  const teapot = await frontend.inject({ method: 'POST', path: '/teapot', body: 'tea', headers: { 'content-type': 'application/json' } });
  expect([teapot.status, JSON.parse(teapot.body)]).toEqual([418, { got: 'tea' }]);
  expect(await get('/broken')).toEqual({ message: 'Internal server error', type: 'Internal Server Error', code: 500 });
  const taken = new Llm(runtime).frontend({ http: false, routes: [{ path: '/health', answer: () => 1 }] });
  await expect(taken).rejects.toMatchObject({ code: 'invalid_argument' });
  const withParameter = new Llm(runtime).frontend({ http: false, routes: [{ path: '/:name', answer: () => 1 }] });
  await expect(withParameter).rejects.toMatchObject({ code: 'invalid_argument' });
});
