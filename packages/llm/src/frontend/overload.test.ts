import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { KvPublisher } from '@dynamo/kv-router';
import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { tinyModel } from '../testing/scripted-worker.ts';
import type { Frontend } from './frontend.ts';

interface Step {
  load?: ['w0' | 'w1', number | null, number | null];
  picks?: 'only w1' | 'alternating';
  pinned_to_w0?: Refusal;
  all_busy?: Record<'unary' | 'stream' | 'completions', Refusal>;
}
interface Refusal {
  status: number;
  body: unknown;
}

/** Loads of two workers with 1000 blocks each, and who answered then (captured from 1.6.1). */
const [captured] = (
  JSON.parse(readFileSync(new URL('../../../../vectors/kv-router/busy_threshold.json', import.meta.url), 'utf8')) as {
    cases: { active_decode_blocks_threshold: number; steps: Step[] }[];
  }
).cases;

const stack = new AsyncDisposableStack();
const answered: string[] = [];
const publishers = new Map<string, { id: bigint; publisher: KvPublisher }>();
let frontend: Frontend;

beforeAll(async () => {
  const [store, hub] = [new MemStore(), new MemEvents()];
  const connect = async (): Promise<DistributedRuntime> =>
    stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));
  for (const name of ['w0', 'w1']) {
    const runtime = await connect();
    const served = await new Llm(runtime).serve({
      endpoint: 'o.backend.generate',
      model: tinyModel,
      name: 'busy',
      aliases: ['alias'],
      capacity: { kvBlocks: 1_000, batchedTokens: 2_048 },
      async *engine() {
        answered.push(name);
        yield { tokenIds: [104], finishReason: 'stop' as const };
      },
    });
    const publisher = stack.use(await KvPublisher.open(runtime, 'o.backend.generate', { blockSize: 16 }));
    publishers.set(name, { id: served.instance.id, publisher });
  }
  const decodeBlocks = captured?.active_decode_blocks_threshold ?? 0;
  frontend = stack.use(
    await new Llm(await connect()).frontend({
      access: { admin: 'open' },
      http: { host: '127.0.0.1', port: 0 },
      router: { overload: { decodeBlocks } },
    }),
  );
  await vi.waitFor(async () => {
    await ask();
    expect(new Set(answered).size).toBe(2);
  }, 10_000);
});
afterAll(() => stack.disposeAsync());

const post = (path: string, body: object): Promise<Response> =>
  fetch(frontend.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'busy', ...body }),
  });
const ask = (more: object = {}): Promise<Response> => post('/v1/chat/completions', { messages: [{ role: 'user', content: 'x' }], ...more });

/** Who answers the next six requests. */
async function picks(): Promise<string> {
  answered.length = 0;
  for (let i = 0; i < 6; i++) await (await ask()).text();
  return answered.every((name) => name === 'w1')
    ? 'only w1'
    : answered.some((name, at) => name === answered[at + 1])
      ? answered.join(' ')
      : 'alternating';
}

const refusal = async (response: Response): Promise<Refusal> => ({ status: response.status, body: await response.json() });

test('who is over a threshold gets no requests; where all are, and where it is asked for by name, the answer is 529', async () => {
  for (const step of captured?.steps ?? []) {
    if (step.load !== undefined) {
      const [name, decode, used] = step.load;
      publishers.get(name)?.publisher.load({
        ...(decode === null ? {} : { activeDecodeBlocks: decode }),
        ...(used === null ? {} : { kvUsedBlocks: used }),
      });
      // A publisher sends the newest of what it is told within a moment: each report is to be seen.
      await sleep(30);
    }
    if (step.picks !== undefined) await vi.waitFor(async () => expect(await picks()).toBe(step.picks), 5_000);
    if (step.pinned_to_w0 !== undefined) {
      // Its id is beyond what JSON's numbers hold here.
      const pinned = await fetch(`${frontend.address}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-dynamo-worker-instance-id': String(publishers.get('w0')?.id) },
        body: JSON.stringify({ model: 'busy', messages: [{ role: 'user', content: 'x' }] }),
      });
      expect(await refusal(pinned)).toEqual(step.pinned_to_w0);
    }
    if (step.all_busy === undefined) continue;
    const { unary, stream, completions } = step.all_busy;
    await vi.waitFor(async () => expect((await ask()).status).toBe(unary.status), 5_000);
    expect(await refusal(await ask())).toEqual(unary);
    expect(await refusal(await ask({ stream: true }))).toEqual(stream);
    expect(await refusal(await post('/v1/completions', { prompt: 'x' }))).toEqual(completions);
    for (const path of ['/health', '/v1/models/busy/ready']) expect((await fetch(frontend.address + path)).status).toBe(200);
  }
});

test('a threshold that is set while the frontend runs counts from the next report on, by any name of the model', async () => {
  const set = await post('/busy_threshold', { model: 'alias', active_decode_blocks_threshold: 0.05 });
  expect([set.status, await set.json()]).toMatchObject([200, { model: 'alias', active_decode_blocks_threshold: 0.05 }]);
  expect((await ask()).status).toBe(200);
  for (const { publisher } of publishers.values()) publisher.load({ activeDecodeBlocks: 51, kvUsedBlocks: 51 });
  await vi.waitFor(async () => expect((await ask()).status).toBe(529), 5_000);
  const { thresholds } = (await (await fetch(`${frontend.address}/busy_threshold`)).json()) as { thresholds: { model: string }[] };
  expect(thresholds.map(({ model }) => model)).toEqual(['busy', 'alias']);
  const again = await post('/busy_threshold', { active_decode_blocks_threshold: 1 });
  expect(again.status).toBe(200);
  for (const { publisher } of publishers.values()) publisher.load({ activeDecodeBlocks: 50, kvUsedBlocks: 50 });
  await vi.waitFor(async () => expect((await ask()).status).toBe(200), 5_000);
});
