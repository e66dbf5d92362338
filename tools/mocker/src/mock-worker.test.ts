import { fileURLToPath } from 'node:url';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { forcedSequenceProcessor, readMockLaunch } from '@dynamo/internal';
import { DistributedRuntime, type EndpointPath } from '@dynamo/runtime';
import { batchesOf, decodeMsgpack, mem, MemStore } from '@dynamo/runtime/internal';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MockWorker, type MockWorkerOptions } from './mock-worker.ts';

const model = fileURLToPath(new URL('../../../vectors/llm/model-tiny', import.meta.url));
const endpoint: EndpointPath = 'mock.backend.generate';

type Chunk = Readonly<Record<string, any>>;
interface Fleet {
  readonly worker: MockWorker;
  readonly runtime: DistributedRuntime;
  ask(tokens: readonly number[], more?: object, options?: { signal?: AbortSignal }): Promise<Chunk[]>;
  hear(topic: string): { readonly messages: any[] };
}

/** A mock worker and a caller in one process. */
async function fleet(config: object = {}, options: Partial<MockWorkerOptions> = {}): Promise<Fleet> {
  const store = new MemStore();
  const runtime = await DistributedRuntime.connect({ discovery: mem(store) });
  onTestFinished(() => runtime[Symbol.asyncDispose]());
  const caller = await DistributedRuntime.connect({ discovery: mem(store) });
  onTestFinished(() => caller[Symbol.asyncDispose]());
  const hear = (topic: string): { messages: any[] } => {
    const messages: any[] = [];
    void (async () => {
      const scope = { namespace: 'mock', component: 'backend', endpoint: 'generate' };
      for await (const batch of batchesOf(caller.events.subscribe(scope, topic, { signal: caller.signal })))
        for (const change of batch) if (change.type === 'event') messages.push(decodeMsgpack(change.payload));
    })().catch(() => {});
    return { messages };
  };
  const { engine = {}, ...rest } = config as { engine?: object };
  const launch = await readMockLaunch({ engine: { block_size: 16, num_gpu_blocks: 64, speedup_ratio: 100, ...engine }, ...rest });
  const worker = await MockWorker.open(runtime, launch, { endpoint, model, name: 'tiny', ...options });
  onTestFinished(() => worker[Symbol.asyncDispose]());
  const client = await caller.client<object, Chunk>(endpoint);
  onTestFinished(() => client[Symbol.asyncDispose]());
  await client.ready();
  const ask: Fleet['ask'] = async (tokens, more = {}, call = {}) => {
    const chunks: Chunk[] = [];
    for await (const chunk of client.generate({ model: 'tiny', token_ids: tokens, stop_conditions: { max_tokens: 3 }, ...more }, call))
      chunks.push(chunk);
    return chunks;
  };
  return { worker, runtime, ask, hear };
}

const prompt = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => ((index * 7 + from) % 251) + 5);

describe('answers', () => {
  test('one chunk a token, the counts with the first and the last', async () => {
    const { ask } = await fleet();
    await ask(prompt(39));
    const chunks = await ask(prompt(39));
    const { token_ids: ids, ...first } = chunks[0] ?? {};
    expect(ids).toHaveLength(1);
    expect(ids[0]).toBeGreaterThanOrEqual(1_000);
    expect(ids[0]).toBeLessThan(2_000);
    expect(first).toEqual({
      tokens: null,
      text: null,
      output_type: 'text',
      cum_log_probs: null,
      log_probs: null,
      top_logprobs: null,
      finish_reason: null,
      index: null,
      completion_usage: {
        prompt_tokens: 39,
        completion_tokens: 1,
        total_tokens: 40,
        prompt_tokens_details: { audio_tokens: null, cached_tokens: 32 },
      },
    });
    expect(chunks.map(({ token_ids }) => token_ids.length)).toEqual([1, 1, 1, 0]);
    expect(chunks.at(-1)).toMatchObject({ finish_reason: 'length', completion_usage: { completion_tokens: 3, total_tokens: 42 } });
  });

  test('a prefill worker gives one token and hands on', async () => {
    const { ask } = await fleet({ engine: { worker_type: 'prefill' } });
    const chunks = await ask(prompt(20), { stop_conditions: { max_tokens: 0 } });
    expect(chunks).toHaveLength(2);
    expect(chunks[0]).toMatchObject({ disaggregated_params: 'dummy', completion_usage: { completion_tokens: 1 } });
  });

  test('a decode worker generates all tokens of a prompt that it never reads', async () => {
    const { ask, hear } = await fleet({ engine: { worker_type: 'decode' } });
    const passes = hear('forward-pass-metrics');
    await expect.poll(() => passes.messages.length, { timeout: 5_000 }).toBeGreaterThan(0);
    const chunks = await ask(prompt(40));
    expect(chunks.map(({ token_ids }) => token_ids.length)).toEqual([1, 1, 1, 0]);
    await expect.poll(() => passes.messages.filter(({ wall_time }) => wall_time > 0).length).toBe(3);
    expect(passes.messages.every(({ scheduled_requests: { num_prefill_requests: reads } }) => reads === 0)).toBe(true);
  });

  test.each([
    [prompt(2_000), {}, { finish_reason: { error: 'request rejected: request exceeds worker admission limits' } }],
    [[], {}, { token_ids: [expect.any(Number)], completion_usage: { prompt_tokens: 0 } }],
  ])('of odd sizes', async (tokens, more, first) => {
    const { ask } = await fleet();
    expect((await ask(tokens, more))[0]).toMatchObject(first);
  });

  test.each([
    [{ stop_conditions: {} }, 'max_output_tokens must be specified for mocker'],
    [{ stop_conditions: { max_tokens: 0 } }, 'live requests must generate at least one output token'],
    [{ routing: { dp_rank: 7 } }, 'dp_rank 7 is out of bounds for dp_size 1'],
  ])('%j is refused, and the worker goes on', async (more, message) => {
    const { ask } = await fleet();
    await expect(ask(prompt(5), more)).rejects.toThrow(message);
    expect(await ask(prompt(5))).toHaveLength(4);
  });

  test('a client that leaves frees its blocks', async () => {
    const { ask, worker } = await fleet({ engine: { speedup_ratio: 1 } });
    const left = new AbortController();
    const asked = ask(prompt(40), { stop_conditions: { max_tokens: 5_000 } }, { signal: left.signal }).catch(() => 'left');
    await expect.poll(() => worker.engine.ranks[0]?.load.running).toBe(1);
    left.abort();
    expect(await asked).toBe('left');
    await expect.poll(() => worker.engine.ranks[0]?.load).toMatchObject({ activeBlocks: 0, running: 0, waiting: 0 });
  });

  test('a thought between its marks, recorded answers, and words that people can read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mock-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const replies = join(folder, 'replies.jsonl');
    writeFileSync(replies, `${JSON.stringify({ request_id: 'a', output_token_ids: [7, 8], output_length: 2 })}\n`);
    const dynamo = { response_replay_trace_path: replies, reasoning: { start_thinking_token_id: 3, end_thinking_token_id: 4, thinking_ratio: 0.5 } };
    const { ask } = await fleet({ dynamo }, { words: [55] });
    const ids = async (more: object): Promise<number[]> => (await ask(prompt(5), more)).flatMap(({ token_ids }) => token_ids);
    expect(await ids({ stop_conditions: { max_tokens: 8 } })).toEqual([3, 55, 55, 4, 55, 55, 55, 55]);
    expect(await ids({ annotations: ['output_replay_id:a'] })).toEqual([7, 8]);
    expect(await ids({ annotations: ['output_replay_id:0'] })).toEqual([7, 8]);
  });

  test('logits processors have a say in each token, and one that throws changes nothing', async () => {
    const seen: number[] = [];
    const { ask } = await fleet(
      {},
      {
        logits: {
          vocabulary: 263,
          processors: () => [
            (ids) => void seen.push(ids.length),
            () => {
              throw new Error('broken');
            },
            forcedSequenceProcessor([72, 105], 258),
          ],
        },
      },
    );
    for (let turn = 0; turn < 2; turn++) {
      const chunks = await ask(prompt(20));
      expect(chunks.flatMap(({ token_ids: ids }) => ids)).toEqual([72, 105, 258]);
    }
    expect(seen).toEqual([20, 21, 22, 20, 21, 22]);
  });

  test('a second turn finds what the first one generated', async () => {
    const { ask } = await fleet();
    const first = await ask(prompt(30), { stop_conditions: { max_tokens: 40 } });
    const all = [...prompt(30), ...first.flatMap(({ token_ids }) => token_ids as number[])];
    const second = await ask([...all, 9, 9], {});
    // The very last token was never read; of 69 that were, four blocks are whole.
    expect(second[0]).toMatchObject({ completion_usage: { prompt_tokens_details: { cached_tokens: 64 } } });
  });
});

describe('what it tells', () => {
  test('its cache, its passes and its load', async () => {
    const { ask, hear, worker } = await fleet({ dp_size: 2 });
    const [events, passes, loads, sequences] = ['kv-events', 'forward-pass-metrics', 'kv_metrics', 'active_sequences_events'].map(hear);
    // A heartbeat is heard: by now the others are subscribed to as well.
    await expect.poll(() => passes?.messages.length, { timeout: 5_000 }).toBeGreaterThan(1);
    await ask(prompt(39), { routing: { dp_rank: 1 } });
    const { id } = worker.served.instance;
    await expect
      .poll(() => events?.messages.flat())
      .toMatchObject([
        {
          worker_id: id,
          event: { event_id: 1, dp_rank: 1, data: { stored: { parent_hash: null, blocks: [{ block_hash: 2969257572674461297n }, {}] } } },
        },
      ]);
    await expect.poll(() => passes?.messages.filter(({ wall_time }) => wall_time > 0)).toHaveLength(6);
    expect(passes?.messages.find(({ wall_time, dp_rank }) => wall_time > 0 && dp_rank === 1)).toMatchObject({
      version: 1,
      worker_id: String(id),
      scheduled_requests: { num_prefill_requests: 1, sum_prefill_tokens: 39, sum_prefill_kv_tokens: 0, num_decode_requests: 0 },
    });
    expect(passes?.messages.findLast(({ wall_time, dp_rank }) => wall_time > 0 && dp_rank === 1)).toMatchObject({
      scheduled_requests: { num_decode_requests: 1, sum_decode_kv_tokens: 41 },
    });
    await expect.poll(() => loads?.messages.findLast(({ dp_rank }) => dp_rank === 1)).toMatchObject({ worker_id: id, kv_used_blocks: 0 });
    await expect
      .poll(() => sequences?.messages.flatMap(({ events: told }) => told))
      .toMatchObject([{ worker: { worker_id: id, dp_rank: 1 }, data: 'MarkPrefillCompleted', router_id: id }]);
  });

  test('the families of an engine, by rank', async () => {
    const { ask, runtime } = await fleet();
    await ask(prompt(5));
    const text = await runtime.metrics.text();
    expect(text).toMatch(/vllm:e2e_request_latency_seconds_count\{engine="0",model_name="tiny"\} 1/);
    expect(text).toMatch(/vllm:inter_token_latency_seconds_count\{engine="0",model_name="tiny"\} 2/);
    expect(text).toMatch(/vllm:num_requests_running\{engine="0",model_name="tiny"\} 0/);
  });
});
