import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Llm } from '@dynamo/llm';
import { KvPublisher, type TokenRequest } from '@dynamo/kv-router';
import { blockHashes, KvRouting, type KvSink, KvSources, prefixIndexes, RankTable } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, parseEndpointPath } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Publisher } from 'zeromq';
import { type Dialogue, startDialogue } from './dialogue.ts';
import { startMocker } from './mocker.ts';
import { findPython, scene } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));
const tokens = (from: number, count: number): number[] => Array.from({ length: count }, (_, index) => from + index);

describe.skipIf('missing' in found)("a real mocker's events, our router side", () => {
  const stack = new AsyncDisposableStack();
  let runtime: DistributedRuntime;
  const ranks = new RankTable();
  const index = prefixIndexes.events({ ranks, clock: () => 0 });
  let sources: KvSources;
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    stack.use(
      startMocker(python, {
        args: ['--model-path', tiny, '--model-name', 'm', '--num-workers', '2', '--speedup-ratio', '10', '--block-size', '16'],
        env,
      }),
    );
    runtime = stack.use(await DistributedRuntime.connect());
    const sink: KvSink = {
      decode: (payload) => index.decode(payload, 'msgpack'),
      apply: (event) => void index.apply(event),
      reset: (workerId, dpRank) => {
        const rank = ranks.find(workerId, dpRank);
        if (rank !== undefined) index.clear(rank);
      },
      hasRank: (_workerId, dpRank) => dpRank === 0,
    };
    sources = stack.use(new KvSources(runtime, parseEndpointPath('dynamo.backend.generate'), { sink }));
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  test('both workers are heard, and a prompt that one of them has seen is known by our hashes', { timeout: 60_000 }, async () => {
    await expect.poll(() => sources.reports().map(({ state }) => state), { timeout: 30_000 }).toEqual(['live', 'live']);
    const client = stack.use(await runtime.client<unknown, unknown>('dynamo.backend.generate'));
    const [instance] = await client.ready({ min: 2 });
    const prompt = tokens(1_000, 70);
    const request = {
      model: 'm',
      token_ids: prompt,
      stop_conditions: { max_tokens: 2 },
      sampling_options: {},
      output_options: {},
      eos_token_ids: [],
      annotations: [],
    };
    await collect(client.generate(request, instance === undefined ? {} : { instance: instance.id }));
    const hashes = BigUint64Array.from(blockHashes(prompt, { blockSize: 16 }));
    const found = (): [bigint, number][] => {
      const pairs = index.core.find(hashes);
      return Array.from({ length: pairs.length / 2 }, (_, at) => [ranks.workerIdOf(pairs[2 * at] ?? 0), pairs[2 * at + 1] ?? 0]);
    };
    await expect.poll(found, { timeout: 5_000 }).toEqual([[instance?.id, 4]]);
  });
});

describe.skipIf('missing' in found)('our publisher, the real KvRouter', () => {
  const stack = new AsyncDisposableStack();
  const publishers: KvPublisher[] = [];
  const ids: bigint[] = [];
  /** Which worker read a prompt, and how long it was. */
  const reads: [number, number][] = [];
  let ask: Dialogue['ask'];
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    for (let worker = 0; worker < 2; worker++) {
      const runtime = stack.use(await DistributedRuntime.connect());
      await new Llm(runtime).serve({
        endpoint: 'demo.backend.generate',
        model: tiny,
        name: 'm',
        blockSize: 16,
        engine: async function* ({ tokenIds }: TokenRequest) {
          reads.push([worker, tokenIds.length]);
          yield { tokenIds: [7], finishReason: 'stop' };
        },
      });
      publishers.push(await KvPublisher.open(runtime, 'demo.backend.generate', { blockSize: 16 }));
      ids.push(runtime.discovery.instanceId);
    }
    publishers[0]?.stored({ tokenIds: tokens(1, 80), hashes: [1n, 2n, 3n, 4n, 5n] });
    ask = stack.use(startDialogue(python, 'py_kv_router.py', { args: ['demo.backend.generate', '16'], env })).ask;
  }, 60_000);
  afterAll(() => stack.disposeAsync());

  const overlap = async (prompt: number[]): Promise<Record<string, number>> => {
    const { workers } = (await ask({ op: 'scores', tokens: prompt })) as { workers: { worker_id: string; device_blocks: number }[] };
    return Object.fromEntries(workers.filter(({ device_blocks: blocks }) => blocks > 0).map((row) => [row.worker_id, row.device_blocks]));
  };

  test('what was stored before it started is asked for, and what comes later is heard', { timeout: 60_000 }, async () => {
    await expect.poll(() => overlap(tokens(1, 80)), { timeout: 20_000 }).toEqual({ [String(ids[0])]: 5 });
    publishers[1]?.stored({ tokenIds: tokens(1, 48), hashes: [11n, 12n, 13n] });
    await expect.poll(() => overlap(tokens(1, 80)), { timeout: 5_000 }).toEqual({ [String(ids[0])]: 5, [String(ids[1])]: 3 });
    publishers[0]?.removed([5n, 4n, 3n, 2n]);
    await expect.poll(() => overlap(tokens(1, 80)), { timeout: 5_000 }).toEqual({ [String(ids[0])]: 1, [String(ids[1])]: 3 });
    publishers[1]?.cleared();
    await expect.poll(() => overlap(tokens(1, 80)), { timeout: 5_000 }).toEqual({ [String(ids[0])]: 1 });
  });

  test('it sends a prompt where our events say that it is, counts it there, and reads our answer', { timeout: 60_000 }, async () => {
    publishers[1]?.stored({ tokenIds: tokens(5_000, 96), hashes: [21n, 22n, 23n, 24n, 25n, 26n] });
    await expect.poll(() => overlap(tokens(5_000, 96)), { timeout: 5_000 }).toEqual({ [String(ids[1])]: 6 });
    for (let round = 0; round < 4; round++) {
      const items = (await ask({ op: 'generate', tokens: tokens(5_000, 96) })) as { token_ids: number[]; routing_data?: any }[];
      expect(items[0]?.routing_data.worker_id).toMatchObject({ decode_worker_id: String(ids[1]), decode_dp_rank: 0 });
      expect(items.flatMap(({ token_ids }) => token_ids)).toEqual([7]);
    }
    expect(reads).toEqual(Array.from({ length: 4 }, () => [1, 96]));
    const [worker, rank, blocks] = (await ask({ op: 'best', tokens: tokens(5_000, 96), id: 'booked' })) as [string, number, number];
    expect([worker, rank, blocks]).toEqual([String(ids[1]), 0, 6]);
    const loads = (await ask({ op: 'loads', tokens: [] })) as { worker_id: string; active_requests: number }[];
    expect(loads.find(({ worker_id }) => worker_id === String(ids[1]))?.active_requests).toBe(1);
    expect(await ask({ op: 'free', id: 'booked' })).toEqual({});
  });
});

describe.skipIf('missing' in found)("a real engine's events through our publisher", () => {
  test('the real router and ours score its prompts alike', { timeout: 90_000 }, async () => {
    await using stack = new AsyncDisposableStack();
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const engine = new Publisher({ linger: 0, sendHighWaterMark: 0 });
    stack.defer(() => engine.close());
    await engine.bind('tcp://127.0.0.1:*');
    const runtime = stack.use(await DistributedRuntime.connect());
    await new Llm(runtime).serve({ endpoint: 'vllm.backend.generate', model: tiny, name: 'm', blockSize: 32, engine: async function* () {} });
    await KvPublisher.open(runtime, 'vllm.backend.generate', { blockSize: 32, source: { zmq: engine.lastEndpoint ?? '' } });
    const ours = stack.use(await KvRouting.open(runtime, parseEndpointPath('vllm.backend.generate'), { blockSize: 32 }));
    await ours.ready();
    const real = stack.use(startDialogue(python, 'py_kv_router.py', { args: ['vllm.backend.generate', '32'], env }));
    const read = (name: string): string => readFileSync(new URL(`../../vectors/kv-router/${name}`, import.meta.url), 'utf8');
    const prompts = (JSON.parse(read('vllm-real-events.prompts.json')) as { requests: { prompt_token_ids: number[] }[] }).requests.map(
      ({ prompt_token_ids: prompt }) => prompt,
    );
    const frames = read('vllm-real-events.jsonl')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { frames_b64: string[] }).frames_b64.map((text) => Buffer.from(text, 'base64')));
    // The real one is there, and our socket has joined the engine's.
    await real.ask({ op: 'scores', tokens: prompts[0] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const message of frames) await engine.send(message);
    const scoreOurs = (): number[] =>
      prompts.map((prompt) => ours.overlapScores({ model: 'm', tokenIds: prompt }).ranks.reduce((most, { device }) => Math.max(most, device), 0));
    const scoreReal = async (): Promise<number[]> => {
      const found: number[] = [];
      for (const prompt of prompts) {
        const { workers } = (await real.ask({ op: 'scores', tokens: prompt })) as { workers: { device_blocks: number }[] };
        found.push(Math.max(0, ...workers.map(({ device_blocks: blocks }) => blocks)));
      }
      return found;
    };
    const last = frames.length;
    await expect
      .poll(() => ours.sources().map(({ state, cursor, malformed }) => [state, (cursor ?? 0) >= last, malformed]), { timeout: 20_000 })
      .toEqual([['live', true, 0]]);
    await expect.poll(scoreReal, { timeout: 30_000, interval: 1_000 }).toEqual(scoreOurs());
    expect(Math.max(...scoreOurs())).toBeGreaterThan(0);
  });
});
