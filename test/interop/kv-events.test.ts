import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Llm } from '@dynamo/llm';
import { KvPublisher } from '@dynamo/kv-router';
import { blockHashes, type KvSink, KvSources, prefixIndexes, RankTable } from '@dynamo/kv-router/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { collect, parseEndpointPath } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
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
  let ask: (request: Record<string, unknown>) => Promise<any>;
  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    for (let worker = 0; worker < 2; worker++) {
      const runtime = stack.use(await DistributedRuntime.connect());
      await new Llm(runtime).serve({ endpoint: 'demo.backend.generate', model: tiny, name: 'm', blockSize: 16, engine: async function* () {} });
      publishers.push(await KvPublisher.open(runtime, 'demo.backend.generate', { blockSize: 16 }));
      ids.push(runtime.discovery.instanceId);
    }
    publishers[0]?.stored({ tokenIds: tokens(1, 80), hashes: [1n, 2n, 3n, 4n, 5n] });
    const child = spawn(python, [fileURLToPath(new URL('peers/py_kv_router.py', import.meta.url)), 'demo.backend.generate', '16'], {
      env: { ...process.env, ...env },
      stdio: ['pipe', 'pipe', process.env['INTEROP_VERBOSE'] ? 'inherit' : 'ignore'],
    });
    stack.defer(async () => {
      child.kill('SIGKILL');
      await once(child, 'close');
    });
    const answers: ((line: string) => void)[] = [];
    createInterface({ input: child.stdout }).on('line', (line) => answers.shift()?.(line));
    ask = (request) =>
      new Promise((resolve) => {
        answers.push((line) => resolve(JSON.parse(line.replace(/("worker_id":\s*)(\d+)/g, '$1"$2"'))));
        child.stdin.write(`${JSON.stringify(request)}\n`);
      });
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
});
