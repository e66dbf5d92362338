import { fileURLToPath } from 'node:url';
import { type Frontend, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeStatusPort, type Mocker, startMocker } from './mocker.ts';
import { findPython, scene } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

describe.skipIf('missing' in found)('our frontend, two real mock workers', () => {
  const stack = new AsyncDisposableStack();
  let frontend: Frontend;
  let openai: OpenAI;
  let mocker: Mocker;
  let status: string;

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const port = String(await freeStatusPort());
    status = `http://127.0.0.1:${port}/metrics`;
    const runtime = stack.use(await DistributedRuntime.connect());
    frontend = stack.use(await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } }));
    openai = new OpenAI({ baseURL: `${frontend.address}/v1`, apiKey: 'none', maxRetries: 0 });
    mocker = stack.use(
      startMocker(python, {
        args: ['--model-path', tiny, '--model-name', 'mock', '--num-workers', '2', '--speedup-ratio', '2'],
        env: { ...env, DYN_SYSTEM_PORT: port, DYN_SYSTEM_HOST: '127.0.0.1' },
      }),
    );
  });
  afterAll(() => stack.disposeAsync());

  const messages = (content: string): { role: 'user'; content: string }[] => [{ role: 'user', content }];
  // The type of the client knows no `ignore_eos`; it passes unknown members on.
  const ask = (maxTokens: number, content = 'hello'): OpenAI.ChatCompletionCreateParamsNonStreaming =>
    ({ model: 'mock', messages: messages(content), max_tokens: maxTokens, ignore_eos: true }) as never;

  test('without a model the chat route is not there', async () => {
    const response = await fetch(`${frontend.address}/v1/chat/completions`, { method: 'POST', body: '{}' });
    expect([response.status, await response.text()]).toEqual([404, '']);
  });

  test('the model appears, with both workers', async () => {
    await expect.poll(() => frontend.models, { timeout: 50_000 }).toEqual(['mock']);
    await expect
      .poll(async () => (await fetch(`${frontend.address}/v1/models/mock/ready`)).json(), { timeout: 20_000 })
      .toMatchObject({
        ready: true,
        namespaces: { dynamo: { worker_types: { aggregated: { workers: 2 } } } },
      });
    const listed = await openai.models.list();
    expect(listed.data.map(({ id, owned_by }) => [id, owned_by])).toEqual([['mock', 'nvidia']]);
  });

  test('health lists every endpoint with ids of all their digits', async () => {
    const text = await (await fetch(`${frontend.address}/health`)).text();
    const ids = [...text.matchAll(/"endpoint":"generate","namespace":"dynamo","instance_id":(\d+)/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(2);
    expect(JSON.parse(text)).toMatchObject({ status: 'healthy', endpoints: expect.arrayContaining(['dyn://dynamo.backend.generate']) });
  });

  test('a chat answer, whole', async () => {
    const answer = await openai.chat.completions.create(ask(7));
    expect(answer.usage).toMatchObject({ completion_tokens: 7, prompt_tokens: 24, total_tokens: 31 });
    expect(answer.choices[0]).toMatchObject({ finish_reason: 'length', message: { role: 'assistant' } });
  });

  test('a chat answer, streamed', async () => {
    const stream = await openai.chat.completions.create({ ...ask(9), stream: true, stream_options: { include_usage: true } });
    let finish: string | null | undefined;
    let usage: unknown;
    for await (const chunk of stream) {
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    expect([finish, usage]).toMatchObject(['length', { completion_tokens: 9 }]);
  });

  test('a completion', async () => {
    const answer = await openai.completions.create({ model: 'mock', prompt: 'once', max_tokens: 3, ignore_eos: true } as never);
    expect(answer).toMatchObject({ object: 'text_completion', usage: { prompt_tokens: 4, completion_tokens: 3 } });
  });

  test('fifty streams at once', async () => {
    const one = async (index: number): Promise<number | undefined> => {
      const stream = await openai.chat.completions.create({ ...ask(30, `number ${index}`), stream: true, stream_options: { include_usage: true } });
      let tokens: number | undefined;
      for await (const chunk of stream) tokens = chunk.usage?.completion_tokens ?? tokens;
      return tokens;
    };
    expect(await Promise.all(Array.from({ length: 50 }, (_, index) => one(index)))).toEqual(Array.from({ length: 50 }, () => 30));
  });

  test('a client that leaves frees its worker', async () => {
    // One of the two workers has the status server: send to it.
    const inflight = async (): Promise<{ worker: string; count: number }> => {
      const text = await (await fetch(status)).text();
      const line = /^dynamo_component_inflight_requests\{[^}]*dynamo_endpoint="generate"[^}]*worker_id="([0-9a-f]+)"\} (\d+)/m.exec(text);
      return { worker: line?.[1] ?? '', count: Number(line?.[2]) };
    };
    const { worker } = await inflight();
    const leave = new AbortController();
    const body = `{"model":"mock","messages":[{"role":"user","content":"stay"}],"max_tokens":4000,"ignore_eos":true,"stream":true,"nvext":{"backend_instance_id":${BigInt(`0x${worker}`)}}}`;
    const response = await fetch(`${frontend.address}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
      signal: leave.signal,
    });
    expect(response.status).toBe(200);
    await response.body?.getReader().read();
    expect((await inflight()).count).toBe(1);
    leave.abort();
    await expect.poll(async () => (await inflight()).count, { timeout: 5_000 }).toBe(0);
  });

  test('the model vanishes with its workers', async () => {
    const stopped = mocker.stop();
    await expect.poll(() => frontend.models, { timeout: 20_000 }).toEqual([]);
    await stopped;
    await expect(openai.chat.completions.create(ask(1))).rejects.toMatchObject({ status: 404 });
  });
});
