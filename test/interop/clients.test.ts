import { type Frontend, Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { aiSdk } from './clients/ai-sdk.ts';
import type { ClientUnderTest, Question } from './clients/client.ts';
import { langchainNpm } from './clients/langchain-npm.ts';
import { openaiNpm } from './clients/openai-npm.ts';
import { findClientPython, pythonClient } from './clients/python.ts';
import { freeStatusPort, startMocker } from './mocker.ts';
import { findPython, scene } from './python.ts';
import { ids, tiny } from './tiny-model.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const foundClients = findClientPython();
const clientPython = 'path' in foundClients ? foundClients.path : '';
if ('missing' in foundClients) console.warn(`skipped: ${foundClients.missing}`);

let begun = 0;
let cancelled = 0;
const errors = { argument: 'invalid_argument', overload: 'resource_exhausted' } as const;

/** Calls the weather tool if one is offered, and tells what it said; otherwise greets, fails or talks slowly as it is asked to. */
async function* engine({ tokenIds }: TokenRequest, { signal }: { signal: AbortSignal }) {
  const prompt = Buffer.from(tokenIds.filter((id) => id < 256)).toString();
  const asked = /fail (\w+)/.exec(prompt)?.[1];
  if (asked !== undefined && Object.hasOwn(errors, asked))
    throw new DynamoError(errors[asked as keyof typeof errors], 'the engine says no', { origin: 'backend' });
  if (asked !== undefined) throw new Error('a secret of the engine');
  if (prompt.includes('slowly')) {
    begun++;
    signal.addEventListener('abort', () => cancelled++, { once: true });
    for (let i = 0; i < 4_000 && !signal.aborted; i++) {
      yield { tokenIds: ids('tick ') };
      await sleep(5);
    }
    return;
  }
  const result = /rain in \w+/.exec(prompt)?.[0];
  const offered = /Tools:.*"name": ?"weather"/s.test(prompt);
  const text =
    result !== undefined ? `I see ${result}.` : offered ? '<tool_call>{"name":"weather","arguments":{"city":"Bern"}}</tool_call>' : 'Hé 日本!';
  for (const id of ids(text)) yield { tokenIds: [id] };
  yield { tokenIds: [], finishReason: 'stop' as const };
}

const clients: Readonly<Record<string, (base: string) => ClientUnderTest>> = {
  'openai, npm': openaiNpm,
  'AI SDK': aiSdk,
  'LangChain, npm': langchainNpm,
  'openai, PyPI': (base) => pythonClient(clientPython, 'openai', base),
  'LangChain, PyPI': (base) => pythonClient(clientPython, 'langchain', base),
  LiteLLM: (base) => pythonClient(clientPython, 'litellm', base),
};

describe.skipIf('missing' in found || 'missing' in foundClients)(
  'clients that people use, our frontend, workers of ours and real mock workers',
  () => {
    const stack = new AsyncDisposableStack();
    let frontend: Frontend;
    let status: string;

    beforeAll(async () => {
      const { env } = stack.use(await scene());
      Object.assign(process.env, env);
      const port = String(await freeStatusPort());
      status = `http://127.0.0.1:${port}/metrics`;
      const args = ['--model-path', tiny, '--model-name', 'mock', '--speedup-ratio', '2'];
      stack.use(startMocker(python, { args, env: { ...env, DYN_SYSTEM_PORT: port, DYN_SYSTEM_HOST: '127.0.0.1' } }));
      const runtime = stack.use(await DistributedRuntime.connect());
      const llm = new Llm(runtime);
      stack.use(await llm.serve({ endpoint: 'dynamo.ours.generate', model: tiny, name: 'ours', engine, parsers: { tools: 'hermes' } }));
      frontend = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
      await vi.waitFor(() => expect(new Set(frontend.models)).toEqual(new Set(['mock', 'ours'])), 50_000);
    });
    afterAll(() => stack.disposeAsync());

    /** Requests that the mock worker is at. */
    const busy = async (): Promise<number> => {
      const text = await (await fetch(status)).text();
      return Number(/^dynamo_component_inflight_requests\{[^}]*dynamo_endpoint="generate"[^}]*\} (\d+)/m.exec(text)?.[1]);
    };
    const ours = (content: string): Question => ({ model: 'ours', content, maxTokens: 100_000 });
    const mock = (maxTokens: number): Question => ({ model: 'mock', content: 'hello', maxTokens, more: { ignore_eos: true } });

    describe.each(Object.entries(clients))('%s', (_name, open) => {
      let client: ClientUnderTest;
      beforeAll(() => void (client = open(frontend.address)));
      afterAll(() => client[Symbol.asyncDispose]());

      test('an answer, whole', async () => {
        expect(await client.whole(ours('hello'))).toEqual({ text: 'Hé 日本!', finish: 'stop', promptTokens: 24, completionTokens: 11 });
      });

      test('an answer, streamed', async () => {
        expect(await client.streamed(ours('hello'))).toEqual({ text: 'Hé 日本!', pieces: 6, finish: 'stop', promptTokens: 24, completionTokens: 11 });
      });

      test('a tool in the template is called, and its result read', async () => {
        expect(await client.withTool(ours('how is it in Bern?'))).toEqual({ called: { city: 'Bern' }, text: 'I see rain in Bern.' });
      });

      test('refusals have their status and say why', async () => {
        expect(await client.refused({ ...ours('hello'), model: 'nobody' })).toEqual({
          status: 404,
          message: expect.stringContaining('Model not found'),
        });
        expect(await client.refused({ ...ours('hello'), more: { min_p: 'much' } })).toEqual({
          status: 400,
          message: expect.stringContaining('expected f32'),
        });
        expect(await client.refused(ours('fail argument'))).toEqual({ status: 400, message: expect.stringContaining('Invalid request') });
        const fault = await client.refused(ours('fail engine'));
        expect(fault.status).toBe(500);
        expect(fault.message).not.toContain('secret');
        expect((await client.refused(ours('fail overload'))).status).toBeGreaterThanOrEqual(503);
      });

      test('who leaves a stream stops the worker', async () => {
        const before = { begun, cancelled };
        await client.left(ours('slowly'), () => expect.poll(() => begun).toBe(before.begun + 1));
        await expect.poll(() => cancelled, { timeout: 10_000 }).toBe(before.cancelled + 1);
      });

      test('a real mock worker answers, whole and streamed, refuses, and hears of a client that leaves', async () => {
        expect(await client.whole(mock(7))).toMatchObject({ finish: 'length', promptTokens: 24, completionTokens: 7 });
        expect(await client.streamed(mock(9))).toMatchObject({ finish: 'length', promptTokens: 24, completionTokens: 9 });
        expect(await client.refused({ ...mock(5), more: { min_tokens: 'few' } })).toMatchObject({ status: 400 });
        // Far more than it could say by then.
        await client.left(mock(3_500), () => expect.poll(busy, { interval: 5 }).toBe(1));
        await expect.poll(busy, { timeout: 10_000 }).toBe(0);
      });
    });
  },
);
