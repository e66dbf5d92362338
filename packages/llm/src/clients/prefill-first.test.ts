import { readFileSync } from 'node:fs';
import { KvPublisher } from '@dynamo/kv-router';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptedWorker, scriptedWorker, type ScriptStep, tinyIds } from '../testing/scripted-worker.ts';

const captured = decodeJson(readFileSync(new URL('../../../../vectors/kv-router/disagg_frontend.json', import.meta.url), 'utf8')) as any;

let stack: AsyncDisposableStack;
let store: MemStore;
let hub: MemEvents;
beforeEach(() => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '1';
  stack = new AsyncDisposableStack();
  store = new MemStore();
  hub = new MemEvents();
});
afterEach(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await stack.disposeAsync();
});

const connect = async (): Promise<DistributedRuntime> =>
  stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));

const params = { kv_transfer_params: { remote_block_ids: [1, 2, 3], remote_engine_id: 'eng-1', do_remote_decode: true } };
const handOver: ScriptStep = {
  token_ids: [9],
  disaggregated_params: params,
  completion_usage: { prompt_tokens: 9, completion_tokens: 1, total_tokens: 10, prompt_tokens_details: { audio_tokens: null, cached_tokens: 2 } },
};
const answer: readonly ScriptStep[] = [{ _text: 'ok' }, { token_ids: [], finish_reason: 'stop' }];

/** A worker of a role, on an endpoint of its own as real ones are. */
async function worker(
  role: 'prefill' | 'decode',
  script: readonly ScriptStep[],
  config: object = {},
): Promise<ScriptedWorker & { id: bigint; runtime: DistributedRuntime }> {
  const runtime = await connect();
  const other = role === 'prefill' ? 'decode' : 'prefill';
  const raw = {
    worker_type: role,
    needs: [[other]],
    ...(role === 'prefill' ? { model_type: 'Prefill' } : {}),
    runtime_config: { total_kv_blocks: 100, ...config },
  };
  const made = await scriptedWorker(runtime, 'm', { raw, component: role });
  made.script = script;
  return Object.assign(made, { id: runtime.discovery.instanceId, runtime });
}

async function frontend(mode: 'kv' | 'round-robin'): Promise<Frontend> {
  return stack.use(await new Llm(await connect()).frontend({ http: { host: '127.0.0.1', port: 0 }, router: { mode } }));
}

const ask = (address: string, more: object = {}): Promise<Response> =>
  fetch(`${address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2, ...more }),
  });

/** What a request says of disaggregation, ids of the run replaced. */
const facts = (request: any, prefill: bigint): unknown => {
  const shown = {
    ...request.routing,
    ...(request.routing.prefill_worker_id === undefined ? {} : { prefill_worker_id: request.routing.prefill_worker_id === prefill }),
  };
  const { max_tokens: maxTokens } = request.stop_conditions;
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
  return { maxTokens, routing: shown, override: plain(request.router_config_override), result: plain(request.prefill_result) };
};

describe.each(['kv', 'round-robin'] as const)('%s', (mode) => {
  test('the prompt is read by one worker and the answer written by another, each told what the real ones are told', async () => {
    const prefill = await worker('prefill', [handOver]);
    const decode = await worker('decode', answer);
    const { address, models } = await frontend(mode);
    await vi.waitFor(() => expect(models).toBeDefined());
    await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
    prefill.received.length = decode.received.length = 0;
    const response = await ask(address, { nvext: { extra_fields: ['worker_id'] } });
    const body = (await response.json()) as any;
    expect([response.status, body.choices[0].message.content]).toEqual([200, 'ok']);
    // The capture that is called round_robin_mode has ranks; the running 1.6.1 names none in that mode (test/interop/disagg.test.ts).
    const real = structuredClone(captured.kv_mode);
    if (mode === 'round-robin')
      for (const half of [real.prefill, real.decode]) for (const name of ['dp_rank', 'prefill_dp_rank']) delete half.request.routing[name];
    const id = BigInt(real.prefill.request.routing.prefill_worker_id);
    expect(facts(prefill.received[0]?.request, prefill.id)).toEqual(
      facts({ ...real.prefill.request, routing: { ...real.prefill.request.routing, prefill_worker_id: id } }, id),
    );
    expect(facts(decode.received[0]?.request, prefill.id)).toEqual(
      facts({ ...real.decode.request, routing: { ...real.decode.request.routing, prefill_worker_id: id } }, id),
    );
    expect((prefill.received[0]?.request as any).token_ids).toEqual((decode.received[0]?.request as any).token_ids);
    expect(JSON.stringify(body.nvext.worker_id)).toContain('prefill_worker_id');
  });

  test('a prefill worker with a meeting place is met there: both halves begin at once and name it', async () => {
    const prefill = await worker('prefill', [{ _sleep: 0.2 }, handOver], {
      disaggregated_endpoint: { bootstrap_host: '127.0.0.1', bootstrap_port: 8998 },
      data_parallel_size: 2,
    });
    const decode = await worker('decode', answer);
    const { address } = await frontend(mode);
    await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
    prefill.received.length = decode.received.length = 0;
    await ask(address);
    const [first, second] = [prefill.received[0]?.request as any, decode.received[0]?.request as any];
    expect(first.bootstrap_info).toMatchObject({ bootstrap_host: '127.0.0.1', bootstrap_port: 8998 });
    expect(second.bootstrap_info).toEqual(first.bootstrap_info);
    expect(BigInt(first.bootstrap_info.bootstrap_room) % 2n).toBe(BigInt(first.routing.dp_rank ?? 0));
    expect(second.prefill_result).toBeUndefined();
  });

  test('failures of the prefill are told by their status, also for streams, and reach no decode worker', async () => {
    const prefill = await worker('prefill', [handOver]);
    const decode = await worker('decode', answer);
    const { address } = await frontend(mode);
    await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
    decode.received.length = 0;
    for (const stream of [false, true]) {
      prefill.script = [{ _raise: 'RuntimeError', msg: 'no' }];
      const failed = await ask(address, { stream });
      expect([failed.status, (await failed.json()) as any]).toMatchObject([500, { message: 'Internal server error' }]);
      prefill.script = [{ token_ids: [1] }];
      const nothing = await ask(address, { stream });
      expect([nothing.status, (await nothing.json()) as any]).toMatchObject([500, { message: 'Failed to generate completions' }]);
    }
    prefill.script = [{ ...handOver, token_ids: tinyIds('all'), finish_reason: 'stop' }];
    const whole = await ask(address);
    expect([whole.status, ((await whole.json()) as any).choices[0].message.content]).toEqual([200, 'all']);
    expect(decode.received).toEqual([]);
    prefill.script = [{ _raise: 'EngineShutdown', msg: 'bye' }];
    expect((await ask(address)).status).toBe(503);
    expect(decode.received).toEqual([]);
  });
});

test('a model is there while all the roles that it needs are', async () => {
  const { address } = await frontend('round-robin');
  const models = async () => ((await (await fetch(`${address}/v1/models`)).json()) as any).data.map(({ id }: any) => id);
  expect((await ask(address)).status).toBe(404);
  const decode = await worker('decode', answer);
  await vi.waitFor(async () => expect((await ask(address)).status).toBe(503), 10_000);
  expect(((await (await ask(address)).json()) as any).message).toContain('Model `m` is not ready');
  expect(await models()).toEqual([]);
  const readiness = await fetch(`${address}/v1/models/m/ready`);
  const expected = captured.activation.find(({ live }: any) => live === 'decode only').ready;
  const body = JSON.parse(JSON.stringify(expected.body).replaceAll('"act"', '"h3"').replaceAll('qwen3', 'm'));
  expect([readiness.status, await readiness.json()]).toEqual([expected.status, body]);
  const prefill = await worker('prefill', [handOver]);
  await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
  expect(await models()).toEqual(['m']);
  await decode.runtime[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect([(await ask(address)).status, await models()]).toEqual([404, []]), 10_000);
  await worker('decode', answer);
  await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
  await prefill.runtime[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect((await ask(address)).status).toBe(503), 10_000);
});

test('a prompt that a decode worker has cached stays there when that is allowed, and a cold one never does', async () => {
  const prefill = await worker('prefill', [handOver]);
  const decode = await worker('decode', answer);
  const { address } = stack.use(
    await new Llm(await connect()).frontend({
      http: { host: '127.0.0.1', port: 0 },
      router: { mode: 'kv', settings: { conditionalDisagg: true, conditionalIslThreshold: 100, conditionalIslRatio: 0.7 } },
    }),
  );
  await vi.waitFor(async () => expect((await ask(address)).status).toBe(200), 10_000);
  const publisher = stack.use(await KvPublisher.open(decode.runtime, 'h3.decode.m', { blockSize: 16 }));
  const sent = (): readonly number[] => (decode.received.at(-1)?.request as { token_ids: number[] }).token_ids;
  const content = 'x'.repeat(60);
  await ask(address, { messages: [{ role: 'user', content }] });
  expect(prefill.received.length).toBe(2);
  const whole = Math.floor(sent().length / 16);
  publisher.stored({ tokenIds: sent(), hashes: Array.from({ length: whole }, (_, index) => BigInt(index + 1)) });
  await vi.waitFor(async () => {
    const before = prefill.received.length;
    await ask(address, { messages: [{ role: 'user', content }] });
    expect(prefill.received.length).toBe(before);
  }, 10_000);
  const stayed = decode.received.at(-1)?.request as { annotations: string[]; routing: object; prefill_result?: unknown };
  expect([stayed.annotations, stayed.routing, stayed.prefill_result]).toEqual([['x-bypass-remote-prefill'], { dp_rank: 0 }, undefined]);
  const streamed = await ask(address, { stream: true, messages: [{ role: 'user', content }], nvext: { extra_fields: ['worker_id'] } });
  const text = await streamed.text();
  expect(text.startsWith(captured.conditional.bypass_stream_first_event)).toBe(true);
  const told = JSON.parse(/"nvext":({.*?}})/.exec(text)?.[1] ?? 'null').worker_id;
  expect(Object.keys(told)).toEqual(Object.keys(captured.conditional.bypass_nvext_worker_id));
});
