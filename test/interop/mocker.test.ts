import { fileURLToPath } from 'node:url';
import { type Client, DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { freeStatusPort, type Mocker, startMocker } from './mocker.ts';
import { findPython, scene } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

interface MockerChunk {
  token_ids: number[];
  finish_reason?: string | null;
}

describe.skipIf('missing' in found)('our client, two real mock workers', () => {
  const stack = new AsyncDisposableStack();
  let client: Client<Record<string, unknown>, MockerChunk>;
  let mocker: Mocker;
  let metrics: string;
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const port = String(await freeStatusPort());
    metrics = `http://127.0.0.1:${port}/metrics`;
    mocker = stack.use(
      startMocker(python, {
        args: ['--model-path', tiny, '--model-name', 'mock', '--num-workers', '2', '--speedup-ratio', '2'],
        env: { ...env, DYN_SYSTEM_PORT: port, DYN_SYSTEM_HOST: '127.0.0.1' },
      }),
    );
    const runtime = stack.use(await DistributedRuntime.connect());
    client = await runtime.client('dynamo.backend.generate');
  });
  afterAll(() => stack.disposeAsync());

  /** What the real frontend sends, with the least that the mocker needs (spec runtime-wire 17). */
  const request = (maxTokens: number, tokenIds = [72, 105]): Record<string, unknown> => ({
    model: 'mock',
    token_ids: tokenIds,
    stop_conditions: { max_tokens: maxTokens, ignore_eos: true },
    sampling_options: {},
    output_options: {},
    eos_token_ids: [258, 256],
    annotations: [],
  });
  const answer = async (maxTokens: number, tokenIds?: number[]): Promise<{ tokens: number; finish: unknown }> => {
    let tokens = 0;
    let finish: unknown;
    for await (const chunk of client.generate(request(maxTokens, tokenIds))) {
      tokens += chunk.token_ids.length;
      finish = chunk.finish_reason ?? finish;
    }
    return { tokens, finish };
  };

  test('both workers appear', async () => {
    expect(await client.ready({ min: 2, signal: AbortSignal.timeout(50_000) })).toHaveLength(2);
  });

  test('a stream of tokens with its finish reason', async () => {
    expect(await answer(20)).toEqual({ tokens: 20, finish: 'length' });
  });

  test('fifty streams at once', async () => {
    const all = await Promise.all(Array.from({ length: 50 }, (_, n) => answer(30, [n + 1, 2, 3])));
    expect(all).toEqual(Array.from({ length: 50 }, () => ({ tokens: 30, finish: 'length' })));
  });

  test('leaving the loop frees the worker', async () => {
    const inflight = async (): Promise<{ worker: string; count: number }> => {
      const text = await (await fetch(metrics)).text();
      const line = /^dynamo_component_inflight_requests\{[^}]*dynamo_endpoint="generate"[^}]*worker_id="([0-9a-f]+)"\} (\d+)/m.exec(text);
      return { worker: line?.[1] ?? '', count: Number(line?.[2]) };
    };
    // One of the two workers has the status server.
    const { worker, count } = await inflight();
    expect(count).toBe(0);
    for await (const chunk of client.generate(request(4_000), { instance: BigInt(`0x${worker}`) })) {
      expect(chunk.token_ids.length).toBeGreaterThan(0);
      await expect.poll(async () => (await inflight()).count).toBe(1);
      break;
    }
    await expect.poll(async () => (await inflight()).count, { timeout: 5_000 }).toBe(0);
  });

  test('they vanish when they shut down', async () => {
    const stopped = mocker.stop();
    await expect.poll(() => client.instances.length, { timeout: 20_000 }).toBe(0);
    await stopped;
    await expect(answer(1)).rejects.toMatchObject({ name: 'DynamoError' });
  });
});
