import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPython, freePort, scene, startFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

/** Token ids of model-tiny are bytes. */
const ids = (text: string): number[] => [...Buffer.from(text)];

describe.skipIf('missing' in found)('the real frontend, two workers of ours', () => {
  const stack = new AsyncDisposableStack();
  const requests: TokenRequest[] = [];
  const cancelled: unknown[] = [];
  const runtimes: DistributedRuntime[] = [];
  let client: OpenAI;
  let url: string;

  async function* engine(request: TokenRequest, { signal }: { signal: AbortSignal }) {
    requests.push(request);
    signal.addEventListener('abort', () => cancelled.push(signal.reason), { once: true });
    const prompt = Buffer.from(request.tokenIds.filter((id) => id < 256)).toString();
    if (prompt.includes('fail argument')) throw new DynamoError('invalid_argument', 'no such thing', { origin: 'backend' });
    if (prompt.includes('fail engine')) throw new Error('secret');
    const text = prompt.includes('slowly') ? 'tick '.repeat(200) : 'Hé 日本!';
    for (const id of ids(text)) {
      if (prompt.includes('slowly')) await sleep(5);
      yield { tokenIds: [id] };
    }
    yield { tokenIds: [], finishReason: 'stop' as const };
  }

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    for (let index = 0; index < 2; index++) {
      const runtime = stack.use(await DistributedRuntime.connect());
      runtimes.push(runtime);
      await new Llm(runtime).serve({ endpoint: 'dynamo.backend.generate', model: tiny, name: 'tiny', engine });
    }
    const frontend = stack.use(await startFrontend(python, { port: await freePort(), env }));
    url = frontend.url;
    client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
  });
  afterAll(() => stack.disposeAsync());
  const ask = (content: string): { model: string; messages: { role: 'user'; content: string }[] } => ({
    model: 'tiny',
    messages: [{ role: 'user', content }],
  });

  const models = async (): Promise<string> => (await fetch(`${url}/v1/models`)).text();

  test('the model appears', async () => {
    await expect.poll(models, { timeout: 30_000 }).toContain('"tiny"');
  });

  test('a unary answer, with usage', async () => {
    const answer = await client.chat.completions.create({ ...ask('hello'), temperature: 0.5, max_tokens: 50 });
    expect(answer.choices[0]).toMatchObject({ message: { content: 'Hé 日本!', role: 'assistant' }, finish_reason: 'stop' });
    expect(answer.usage?.completion_tokens).toBe(ids('Hé 日本!').length);
    expect(requests.at(-1)).toMatchObject({
      model: 'tiny',
      stop: { maxTokens: 50, hiddenStopTokenIds: [258, 256] },
      sampling: { temperature: 0.5 },
      eosTokenIds: [258, 256],
    });
    expect(requests.at(-1)?.cardChecksum).toMatch(/^[0-9a-f]{64}$/);
  });

  test('fifty streams at once', async () => {
    const read = async (): Promise<string> => {
      let text = '';
      for await (const chunk of await client.chat.completions.create({ ...ask('hello'), stream: true }))
        text += chunk.choices[0]?.delta.content ?? '';
      return text;
    };
    expect(new Set(await Promise.all(Array.from({ length: 50 }, read)))).toEqual(new Set(['Hé 日本!']));
  });

  test('an error of the engine becomes the status of its code', async () => {
    await expect(client.chat.completions.create(ask('fail argument'))).rejects.toMatchObject({ status: 400 });
    await expect(client.chat.completions.create(ask('fail engine'))).rejects.toMatchObject({ status: 500 });
    expect((await client.chat.completions.create(ask('hello'))).choices[0]?.finish_reason).toBe('stop');
  });

  test('a client that leaves frees the worker', async () => {
    const before = cancelled.length;
    const stream = await client.chat.completions.create({ ...ask('slowly'), stream: true });
    for await (const _ of stream) break;
    await expect.poll(() => cancelled.length, { timeout: 5_000 }).toBe(before + 1);
    expect(cancelled.at(-1)).toMatchObject({ code: 'cancelled' });
  });

  test('a worker that leaves under load fails no request', async () => {
    const running = Array.from({ length: 10 }, () => client.chat.completions.create(ask('slowly')));
    await sleep(300);
    await runtimes[0]?.[Symbol.asyncDispose]();
    const answers = await Promise.all(running);
    expect(answers.map((answer) => answer.choices[0]?.message.content)).toEqual(Array.from({ length: 10 }, () => 'tick '.repeat(200)));
    expect((await client.chat.completions.create(ask('hello'))).choices[0]?.finish_reason).toBe('stop');
  });

  test('when the last worker has gone the model has, too', async () => {
    await runtimes[1]?.[Symbol.asyncDispose]();
    await expect.poll(models, { timeout: 10_000 }).not.toContain('"tiny"');
  });
});
