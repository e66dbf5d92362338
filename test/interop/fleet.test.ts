import { fileURLToPath } from 'node:url';
import { type Frontend, Llm } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startMocker } from './mocker.ts';
import { findPython, freePort, scene, startFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const streams = 20;

describe.skipIf('missing' in found)('a fleet of a real mock worker and a worker of ours, behind both frontends', () => {
  const stack = new AsyncDisposableStack();
  let llm: Llm;
  let ours: Frontend;
  let real: string;
  let served = 0;

  /** As many tokens as were asked for, as the mock worker does it. */
  async function* engine({ stop }: { stop?: { maxTokens?: number } }) {
    served++;
    for (let i = 0; i < (stop?.maxTokens ?? 1); i++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      yield { tokenIds: [104] };
    }
    yield { tokenIds: [], finishReason: 'length' as const };
  }

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    stack.use(startMocker(python, { args: ['--model-path', tiny, '--model-name', 'mixed', '--speedup-ratio', '2'], env }));
    const runtime = stack.use(await DistributedRuntime.connect());
    llm = new Llm(runtime);
    ours = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
    await vi.waitFor(() => expect(ours.models).toEqual(['mixed']), 50_000);
    // In a namespace of its own: the cards of the two differ, and within one the first would be the only one.
    await llm.serve({ endpoint: 'other.backend.generate', model: tiny, name: 'mixed', engine: engine as never });
    real = stack.use(await startFrontend(python, { port: await freePort(), env })).url;
    for (const base of [ours.address, real])
      await vi.waitFor(
        async () => expect(await (await fetch(`${base}/health`)).text()).toMatch(/dynamo\.backend.*other\.backend|other\.backend.*dynamo\.backend/s),
        30_000,
      );
  });
  afterAll(() => stack.disposeAsync());

  const stream = async (base: string, maxTokens: number, number: number, begun?: () => void): Promise<number | undefined> => {
    const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
    let tokens: number | undefined;
    for await (const chunk of await client.chat.completions.create({
      model: 'mixed',
      messages: [{ role: 'user', content: `number ${number}` }],
      max_tokens: maxTokens,
      ignore_eos: true,
      stream: true,
      stream_options: { include_usage: true },
    } as OpenAI.ChatCompletionCreateParamsStreaming)) {
      begun?.();
      tokens = chunk.usage?.completion_tokens ?? tokens;
    }
    return tokens;
  };
  const several = (base: string, maxTokens: number, begun?: () => void): Promise<(number | undefined)[]> =>
    Promise.all(Array.from({ length: streams }, (_, number) => stream(base, maxTokens, number, begun)));

  test('both frontends answer from both kinds of workers', async () => {
    for (const base of [ours.address, real]) {
      const before = served;
      expect(await several(base, 12)).toEqual(Array.from({ length: streams }, () => 12));
      expect(served - before).toBeGreaterThan(0);
      expect(served - before).toBeLessThan(streams);
    }
  });

  test('a frontend that is replaced while streams run ends each of them whole, and the next one takes what is new', async () => {
    const old = await llm.frontend({ http: { host: '127.0.0.1', port: 0 } });
    await vi.waitFor(() => expect(old.models).toEqual(['mixed']), 10_000);
    let begun = 0;
    const running = several(old.address, 150, () => begun++);
    await expect.poll(() => begun, { timeout: 20_000 }).toBeGreaterThan(streams);
    const next = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
    await vi.waitFor(() => expect(next.models).toEqual(['mixed']), 10_000);
    const closing = old[Symbol.asyncDispose]();
    expect((await fetch(`${old.address}/health`)).status).toBe(503);
    expect(await several(next.address, 12)).toEqual(Array.from({ length: streams }, () => 12));
    expect(await running).toEqual(Array.from({ length: streams }, () => 150));
    await closing;
    await expect(fetch(old.address)).rejects.toThrow();
  });
});
