import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { ModelDeploymentCard } from '../model/deployment-card.ts';
import type { Engine } from './engine.ts';

const model = fileURLToPath(new URL('../../../../vectors/llm/model-tiny', import.meta.url));

let stack: AsyncDisposableStack;
let store: MemStore;
let hub: MemEvents;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  store = new MemStore();
  hub = new MemEvents();
});
afterEach(() => stack.disposeAsync());

const connect = async (): Promise<DistributedRuntime> =>
  stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub) }));

const openFrontend = async (mode: 'kv' | 'round-robin' = 'round-robin'): Promise<Frontend> =>
  stack.use(await new Llm(await connect()).frontend({ http: false, router: { mode } }));

const letter: Engine = async function* () {
  yield { tokenIds: [97], finishReason: 'stop' };
};

async function textOf(frontend: Frontend, prompt: readonly number[] = [1]): Promise<string> {
  let text = '';
  for await (const { choices } of frontend.complete({ model: 'm', prompt })) text += choices[0]?.text ?? '';
  return text;
}

test('a prefill and a decode worker answer together, each by its role, and neither alone', async () => {
  const frontend = await openFrontend();
  const handOver = { remote_block_ids: [1, 2] };
  const asked: string[] = [];
  const prefill: Engine = async function* (request) {
    asked.push(`prefill of ${request.stop?.maxTokens}`);
    yield { tokenIds: [7], extra: { disaggregated_params: handOver } };
  };
  const decode: Engine = async function* (request) {
    asked.push(`decode after ${JSON.stringify(request.extra?.['prefill_result'])}`);
    yield { tokenIds: [98], finishReason: 'stop' };
  };
  const common = { model, name: 'm' };
  await new Llm(await connect()).serve({ ...common, endpoint: 'd.decode.generate', role: 'decode', needs: [['prefill']], engine: decode });
  const ready = async (): Promise<unknown> => JSON.parse((await frontend.inject({ path: '/v1/models/m/ready' })).body);
  await vi.waitFor(async () => expect(await ready()).toMatchObject({ ready: false }), 10_000);
  await expect(textOf(frontend)).rejects.toMatchObject({ code: 'unavailable' });
  await new Llm(await connect()).serve({ ...common, endpoint: 'd.prefill.generate', role: 'prefill', engine: prefill });
  await vi.waitFor(async () => expect(await textOf(frontend)).toBe('b'), 10_000);
  expect(asked.slice(-2)).toEqual(['prefill of 1', `decode after ${JSON.stringify({ disaggregated_params: handOver })}`]);
});

test.each([
  [{ role: 'prefill', needs: [] }, 'role prefill requires a non-empty `needs`'],
  [{ role: 'chef' }, "role 'chef'"],
  [{ needs: [['waiter']] }, "role 'waiter'"],
])('%j is refused', async (options, message) => {
  const serving = new Llm(await connect()).serve({ endpoint: 'd.x.generate', model, engine: letter, ...(options as object) });
  await expect(serving).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) });
});

test('a card tells of role, needs, taints and meeting place', async () => {
  const runtime = await connect();
  await new Llm(runtime).serve({
    endpoint: 'd.x.generate',
    model,
    name: 'm',
    engine: letter,
    role: 'prefill',
    needs: [['decode'], ['encode', 'decode']],
    taints: ['spot'],
    bootstrap: { host: '10.0.0.1', port: 7_000 },
  });
  const [found] = await ModelDeploymentCard.list(runtime, { namespace: 'd' });
  expect(found?.card.wire).toMatchObject({
    worker_type: 'prefill',
    model_type: 'Prefill',
    needs: [['decode'], ['encode', 'decode']],
    runtime_config: { taints: ['spot'], disaggregated_endpoint: { bootstrap_host: '10.0.0.1', bootstrap_port: 7_000 } },
  });
});

test('an engine tells of its cache through what it serves, and prompts come to where they are cached', async () => {
  const frontend = await openFrontend('kv');
  const answers = new Map<string, bigint>();
  const prompt = Array.from({ length: 64 }, (_, at) => at);
  const workers = await Promise.all(
    [97, 98, 99].map(async (token) => {
      const engine: Engine = async function* () {
        yield { tokenIds: [token], finishReason: 'stop' };
      };
      const served = await new Llm(await connect()).serve({ endpoint: 'd.x.generate', model, name: 'm', blockSize: 16, events: 'native', engine });
      answers.set(String.fromCharCode(token), served.instance.id);
      return served;
    }),
  );
  await vi.waitFor(() => expect(frontend.models).toEqual(['m']), 10_000);
  const second = workers[1]!;
  second.kv?.load({ kvUsedBlocks: 4 });
  second.kv?.stored({ tokenIds: prompt, hashes: [1n, 2n, 3n, 4n] });
  // The event travels beside the request: it counts once it is there.
  await vi.waitFor(async () => {
    for (let round = 0; round < 6; round++) expect(answers.get(await textOf(frontend, prompt))).toBe(second.instance.id);
  }, 10_000);
});

test('without events there is no publisher', async () => {
  const served = await new Llm(await connect()).serve({ endpoint: 'd.x.generate', model, engine: letter });
  expect(served.kv).toBeUndefined();
});

test('a worker that drains leaves, ends what runs, and comes back', async () => {
  const frontend = await openFrontend();
  const go = Promise.withResolvers<void>();
  const engine: Engine = async function* () {
    yield { tokenIds: [97] };
    await go.promise;
    yield { tokenIds: [98], finishReason: 'stop' };
  };
  const served = await new Llm(await connect()).serve({ endpoint: 'd.x.generate', model, name: 'm', engine });
  await vi.waitFor(() => expect(frontend.models).toEqual(['m']), 10_000);
  expect(served.running).toBe(0);
  const reading = textOf(frontend);
  await vi.waitFor(() => expect(served.running).toBe(1), 10_000);
  await expect(served.drain({ signal: AbortSignal.abort(new Error('no patience')) })).rejects.toThrow('no patience');
  const impatient = new AbortController();
  const given = served.drain({ signal: impatient.signal });
  impatient.abort(new Error('no more patience'));
  await expect(given).rejects.toThrow('no more patience');
  const drained = served.drain();
  await vi.waitFor(
    async () => await expect(textOf(frontend)).rejects.toMatchObject({ code: expect.stringMatching(/unavailable|cannot_connect/) }),
    10_000,
  );
  go.resolve();
  await drained;
  expect([served.running, await reading]).toEqual([0, 'ab']);
  await served.resume();
  await vi.waitFor(async () => expect(await textOf(frontend)).toBe('ab'), 10_000);
  await served[Symbol.asyncDispose]();
  await vi.waitFor(() => expect(frontend.models).toEqual([]), 10_000);
});
