import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ConnectOptions, DistributedRuntime } from '@dynamo/runtime';
import { mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Frontend } from '../../frontend/frontend.ts';
import { Llm } from '../../llm.ts';
import type { Engine } from '../engine.ts';
import type { ServedModel, ServeModelOptions } from '../serve-model.ts';

const model = fileURLToPath(new URL('../../../../../vectors/llm/model-tiny', import.meta.url));

let stack: AsyncDisposableStack;
let store: MemStore;
let hub: MemEvents;
let root: string;
beforeEach(async () => {
  stack = new AsyncDisposableStack();
  store = new MemStore();
  hub = new MemEvents();
  root = await mkdtemp(join(tmpdir(), 'adapters-'));
  stack.defer(() => rm(root, { recursive: true, force: true }));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await stack.disposeAsync();
});

const connect = async (options: ConnectOptions = {}): Promise<DistributedRuntime> =>
  stack.use(await DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(hub), ...options }));

async function adapter(name: string): Promise<string> {
  const path = join(root, name);
  await mkdir(path, { recursive: true });
  await writeFile(join(path, 'adapter_config.json'), '{}');
  await writeFile(join(path, 'adapter_model.safetensors'), 'w');
  return path;
}

/** Answers `a` for the model itself and the first letter of the adapter's name for an adapter. */
const letter: Engine = async function* ({ routing }) {
  const name = routing?.['lora_name'] ?? 'a';
  yield { tokenIds: [String(name).charCodeAt(0)], finishReason: 'stop' };
};

const serve = async (options: Partial<ServeModelOptions> = {}): Promise<ServedModel> =>
  new Llm(await connect()).serve({ endpoint: 'l.backend.generate', model, name: 'base', engine: letter, ...options } as ServeModelOptions);

const openFrontend = async (mode: 'kv' | 'round-robin' = 'round-robin'): Promise<Frontend> =>
  stack.use(await new Llm(await connect()).frontend({ http: false, router: { mode } }));

async function textOf(frontend: Frontend, name: string, prompt: readonly number[] = [1]): Promise<string> {
  let text = '';
  for await (const { choices } of frontend.complete({ model: name, prompt })) text += choices[0]?.text ?? '';
  return text;
}

const shown = (frontend: Frontend, names: readonly string[]): Promise<void> =>
  vi.waitFor(() => expect([...frontend.models].toSorted()).toEqual([...names].toSorted()), 10_000);

/** One answer of a worker's own endpoint. */
async function ask(name: string, request: unknown): Promise<Record<string, unknown>> {
  const client = stack.use(await (await connect()).client<unknown, Record<string, unknown>>(`l.backend.${name}` as 'l.backend.x'));
  await client.ready();
  for await (const item of client.generate(request)) return item;
  throw new Error('no answer');
}

test.each(['round-robin', 'kv'] as const)('by %s, an adapter is a model of its own that only its workers answer', async (mode) => {
  const frontend = await openFrontend(mode);
  const asked = { one: 0, two: 0 };
  const counting = (who: 'one' | 'two'): Engine =>
    async function* (request, context) {
      if (request.routing?.['lora_name'] !== undefined) asked[who]++;
      yield* letter(request, context);
    };
  await serve({ engine: counting('one') });
  const two = await serve({ engine: counting('two') });
  await shown(frontend, ['base']);
  const added = await two.addLora({ name: 'x', path: await adapter('x') });
  await shown(frontend, ['base', 'x']);
  for (let turn = 0; turn < 6; turn++) expect(await textOf(frontend, 'x')).toBe('x');
  for (let turn = 0; turn < 3; turn++) expect(await textOf(frontend, 'base')).toBe('a');
  expect(asked).toEqual({ one: 0, two: 6 });
  const listed = JSON.parse((await frontend.inject({ path: '/v1/models' })).body) as { data: { id: string; context_window: number }[] };
  expect(listed.data.map(({ id, context_window: window }) => [id, window]).toSorted()).toEqual([
    ['base', 4096],
    ['x', 4096],
  ]);
  await added[Symbol.asyncDispose]();
  await shown(frontend, ['base']);
  await expect(textOf(frontend, 'x')).rejects.toMatchObject({ code: 'not_found' });
  expect(await textOf(frontend, 'base')).toBe('a');
});

test("an adapter's prompts come to where they are cached as the adapter's, and those of its base do not", async () => {
  const frontend = await openFrontend('kv');
  const prompt = Array.from({ length: 64 }, (_, at) => at);
  const workers = await Promise.all(
    ['1', '2', '3'].map((digit) =>
      serve({
        blockSize: 16,
        events: 'native',
        async *engine() {
          yield { tokenIds: [digit.charCodeAt(0)], finishReason: 'stop' as const };
        },
      } as never),
    ),
  );
  const path = await adapter('x');
  for (const worker of workers) await worker.addLora({ name: 'x', path });
  await shown(frontend, ['base', 'x']);
  const [, second, third] = workers as [ServedModel, ServedModel, ServedModel];
  second.kv?.stored({ tokenIds: prompt, hashes: [1n, 2n, 3n, 4n], loraName: 'x' });
  third.kv?.stored({ tokenIds: prompt, hashes: [5n, 6n, 7n, 8n] });
  // The events travel beside the requests: they count once they are there.
  await vi.waitFor(async () => {
    for (let round = 0; round < 4; round++) expect(await textOf(frontend, 'x', prompt)).toBe('2');
    for (let round = 0; round < 4; round++) expect(await textOf(frontend, 'base', prompt)).toBe('3');
  }, 20_000);
});

test('a prefill and a decode worker answer for an adapter together, each told of it', async () => {
  const frontend = await openFrontend('kv');
  const asked: string[] = [];
  const telling = (role: string): Engine =>
    async function* ({ routing, stop }) {
      asked.push(`${role} ${String(routing?.['lora_name'])}`);
      yield role === 'prefill' && stop?.maxTokens === 1
        ? { tokenIds: [7], extra: { disaggregated_params: { blocks: [1] } } }
        : { tokenIds: [98], finishReason: 'stop' };
    };
  const path = await adapter('x');
  const roles = [
    { endpoint: 'l.decode.generate', role: 'decode', needs: [['prefill']], engine: telling('decode') },
    { endpoint: 'l.prefill.generate', role: 'prefill', engine: telling('prefill') },
    // Reads prompts as well, and has no adapter.
    { endpoint: 'l.prefill.generate', role: 'prefill', engine: telling('other') },
  ] as const;
  for (const [at, options] of roles.entries()) {
    const served = await serve(options);
    if (at < 2) await served.addLora({ name: 'x', path });
  }
  await vi.waitFor(async () => expect(await textOf(frontend, 'x')).toBe('b'), 10_000);
  asked.length = 0;
  for (let turn = 0; turn < 3; turn++) expect(await textOf(frontend, 'x')).toBe('b');
  expect(asked).toEqual(Array.from({ length: 3 }, () => ['prefill x', 'decode x']).flat());
});

test('where an adapter would go is asked of those that have it', async () => {
  const frontend = await openFrontend('kv');
  await serve();
  const two = await serve();
  await two.addLora({ name: 'x', path: await adapter('x') });
  await shown(frontend, ['base', 'x']);
  for (let turn = 0; turn < 4; turn++) {
    const { status, body } = await frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: {
        model: 'x',
        messages: [{ role: 'user', content: `hi ${turn}` }],
        nvext: { annotations: ['query_instance_id:'], extra_fields: ['worker_id'] },
      },
    });
    expect([status, body]).toEqual([200, expect.stringContaining(`${two.instance.id}`)]);
  }
});

test('adapters that are seen before their base wait for it, and go with it', async () => {
  const served = await serve();
  await served.addLora({ name: 'x', path: await adapter('x') });
  const frontend = await openFrontend();
  await shown(frontend, ['base', 'x']);
  await served[Symbol.asyncDispose]();
  await shown(frontend, []);
});

test('a chat with an adapter has the template of its base, and its worker is told of both', async () => {
  const frontend = await openFrontend();
  const seen: unknown[] = [];
  const served = await serve({
    async *engine(request: Parameters<Engine>[0]) {
      seen.push(request);
      yield { tokenIds: [98], finishReason: 'stop' as const };
    },
  } as never);
  await served.addLora({ name: 'x', path: await adapter('x') });
  await shown(frontend, ['base', 'x']);
  for (const name of ['base', 'x']) {
    const { status, body } = await frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model: name, messages: [{ role: 'user', content: 'hi' }] },
    });
    expect([status, JSON.parse(body)]).toMatchObject([200, { model: name, choices: [{ message: { content: 'b' } }] }]);
  }
  const [base, own] = seen as { tokenIds: unknown; cardChecksum: string; model: string; routing: object }[];
  expect(own).toEqual({ ...base, model: 'x', routing: { lora_name: 'x' } });
});

test('adapters are loaded, listed and unloaded from outside, each as often as asked', async () => {
  const frontend = await openFrontend();
  const told: unknown[] = [];
  await serve({ lora: { load: (loaded) => void told.push(['load', loaded]), unload: (gone) => void told.push(['unload', gone]), slots: 2 } });
  const path = await adapter('x');
  const request = { lora_name: 'x', source: { uri: `file://${path}` } };
  const success = {
    status: 'success',
    message: "LoRA adapter 'x' loaded successfully",
    lora_name: 'x',
    lora_id: expect.any(Number),
    hot_swap: false,
  };
  const first = await ask('load_lora', request);
  expect(first).toEqual(success);
  expect(await ask('load_lora', request)).toEqual({ ...success, message: "LoRA adapter 'x' already loaded" });
  expect(await ask('list_loras', {})).toEqual({ status: 'success', loras: { x: first['lora_id'] }, count: 1 });
  await shown(frontend, ['base', 'x']);
  expect(await textOf(frontend, 'x')).toBe('x');
  const gone = { status: 'success', message: "LoRA adapter 'x' unloaded successfully", lora_name: 'x', lora_id: first['lora_id'] };
  expect(await ask('unload_lora', { lora_name: 'x' })).toEqual(gone);
  expect(await ask('unload_lora', { lora_name: 'x' })).toMatchObject({ status: 'error', message: "LoRA adapter 'x' not found. Available LoRAs: []" });
  expect(await ask('list_loras', null)).toEqual({ status: 'success', loras: {}, count: 0 });
  const same = { name: 'x', id: first['lora_id'], path };
  expect(told).toEqual([
    ['load', same],
    ['unload', same],
  ]);
  await shown(frontend, ['base']);
});

test('the status server asks the same handlers', async () => {
  vi.stubEnv('DYN_LORA_ENABLED', 'true');
  const runtime = await connect({ system: { port: 0, host: '127.0.0.1' } });
  await new Llm(runtime).serve({ endpoint: 'l.backend.generate', model, name: 'base', engine: letter, lora: {} });
  const at = (path: string): string => `${runtime.statusUrl}${path}`;
  const post = async (path: string, body: unknown): Promise<unknown[]> => {
    const response = await fetch(at(path), { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
    return [response.status, await response.json()];
  };
  const request = { lora_name: 'x', source: { uri: `file://${await adapter('x')}` } };
  expect(await post('/v1/loras', request)).toMatchObject([200, { status: 'success', lora_name: 'x' }]);
  expect(await (await fetch(at('/v1/loras'))).json()).toMatchObject({ status: 'success', count: 1 });
  expect(await post('/engine/unload_lora', { lora_name: 'x' })).toMatchObject([200, { status: 'success' }]);
  expect((await fetch(at('/v1/loras/x'), { method: 'DELETE' })).status).toBe(500);
  expect(await post('/engine/load_lora', request)).toMatchObject([200, { status: 'success', message: "LoRA adapter 'x' loaded successfully" }]);
});

test('what is asked wrongly is refused in the words of the real worker', async () => {
  const broken = join(root, 'broken');
  await mkdir(broken);
  await writeFile(join(broken, 'adapter_config.json'), '{}');
  await serve({
    lora: {
      cache: join(root, 'cache'),
      load: ({ name }) => {
        if (name === 'heavy') throw new Error('out of memory');
      },
    },
  });
  const good = await adapter('good');
  const refused = async (endpoint: string, request: unknown, message: string): Promise<void> =>
    expect(await ask(endpoint, request)).toMatchObject({ status: 'error', message });
  await refused('load_lora', null, "Request is required with 'lora_name' and 'source.uri'");
  await refused('load_lora', { lora_name: 5 }, "'lora_name' is required and must be a string");
  await refused('load_lora', { lora_name: 'x' }, "'source' object is required in request");
  await refused('load_lora', { lora_name: 'x', source: { uri: '' } }, "'source.uri' is required and must be a string");
  await refused('unload_lora', null, "Request is required with 'lora_name' field");
  await refused('unload_lora', {}, "'lora_name' is required and must be a string");
  const load = (name: string, uri: string, message: string): Promise<void> => refused('load_lora', { lora_name: name, source: { uri } }, message);
  await load('x', 'file:///no/such', 'Failed to download LoRA: Download failed: Local LoRA not found: file:///no/such');
  await load('x', 'ftp://a/b', 'Failed to download LoRA: Download failed: LoRA ftp://a/b not found in any source');
  await load('x', join(root, 'nowhere'), `LoRA directory '${join(root, 'nowhere')}' does not exist`);
  await load('x', `file://${broken}`, `LoRA directory 'file://${broken}' is not a valid LoRA: expected adapter_config.json and adapter weights`);
  await load('heavy', `file://${good}`, "Failed to add LoRA 'heavy': out of memory");
  await load('base', `file://${good}`, "LoRA adapter name 'base' is reserved by its base model");
  expect(await ask('load_lora', { lora_name: 'X y', source: { uri: `file://${good}` } })).toMatchObject({ status: 'success' });
  await load('x_y', `file://${good}`, "LoRA adapter name 'x_y' is too like that of 'X y'");
  expect(await ask('list_loras', {})).toMatchObject({ count: 1 });
});

test('requests that run when their adapter is unloaded finish, and the engine lets it go after them', async () => {
  const frontend = await openFrontend();
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const order: string[] = [];
  const served = await serve({
    async *engine() {
      begin();
      yield { tokenIds: [98] };
      await mayEnd;
      order.push('answered');
      yield { tokenIds: [99], finishReason: 'stop' as const };
    },
    lora: { unload: () => void order.push('unloaded') },
  } as never);
  const added = await served.addLora({ name: 'x', path: await adapter('x') });
  await shown(frontend, ['base', 'x']);
  const answer = textOf(frontend, 'x');
  await begun;
  const gone = Promise.resolve(added[Symbol.asyncDispose]());
  await shown(frontend, ['base']);
  expect(order).toEqual([]);
  end();
  expect(await answer).toBe('bc');
  await gone;
  expect(order).toEqual(['answered', 'unloaded']);
});

test('an adapter that its engine does not let go is offered again', async () => {
  const frontend = await openFrontend();
  let stubborn = true;
  const served = await serve({
    lora: {
      unload: () => {
        if (stubborn) throw new Error('busy');
      },
    },
  });
  await served.addLora({ name: 'x', path: await adapter('x') });
  expect(await ask('unload_lora', { lora_name: 'x' })).toMatchObject({ status: 'error', message: 'busy' });
  await shown(frontend, ['base', 'x']);
  expect(await textOf(frontend, 'x')).toBe('x');
  stubborn = false;
  expect(await ask('unload_lora', { lora_name: 'x' })).toMatchObject({ status: 'success' });
});

test('weights are exchanged where that is allowed, and the old ones stay when the new ones are refused', async () => {
  vi.stubEnv('DYN_LORA_HOTSWAP_ENABLED', '1');
  const told: string[] = [];
  await serve({
    lora: {
      load: ({ path }) => {
        told.push(`load ${path.slice(root.length + 1)}`);
        if (path.endsWith('bad')) throw new Error('bad rank');
      },
      unload: ({ path }) => void told.push(`unload ${path.slice(root.length + 1)}`),
    },
  });
  const load = async (folder: string): Promise<unknown> => ask('load_lora', { lora_name: 'x', source: { uri: `file://${await adapter(folder)}` } });
  expect(await load('one')).toMatchObject({ hot_swap: false });
  expect(await load('two')).toMatchObject({ hot_swap: true, message: "LoRA adapter 'x' hot-swapped successfully" });
  expect(await load('bad')).toMatchObject({ status: 'error', message: "Failed to add LoRA 'x': bad rank" });
  expect(await ask('list_loras', {})).toMatchObject({ count: 1 });
  expect(told).toEqual(['load one', 'unload one', 'load two', 'unload two', 'load bad', 'load two']);
});

test('a name is taken once, an unknown adapter is nobody, and an adapter ends with its model', async () => {
  const served = await serve();
  const path = await adapter('x');
  await served.addLora({ name: 'x', path });
  await expect(served.addLora({ name: 'x', path })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: "LoRA adapter 'x' is already loaded",
  });
  await expect(served.addLora({ name: '', path })).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(served.addLora({ name: 'y', path: join(root, 'none') })).rejects.toMatchObject({ code: 'not_found' });
  const client = stack.use(await (await connect()).client<unknown, unknown>('l.backend.generate'));
  await client.ready();
  const answers = client.generate({ model: 'y', token_ids: [1], routing: { lora_name: 'y' } });
  await expect(answers[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'invalid_argument',
    message: "unknown model or LoRA adapter: 'y'",
  });
  await served[Symbol.asyncDispose]();
  await expect(served.addLora({ name: 'z', path })).rejects.toMatchObject({ code: 'unavailable' });
});

test('a model of text gets the adapter as the model that its client asked for', async () => {
  const frontend = await openFrontend();
  const asked: unknown[] = [];
  const text = async function* (request: { model: string }): AsyncGenerator<unknown> {
    asked.push(request.model);
    yield {
      id: '1',
      object: 'chat.completion.chunk',
      created: 1,
      model: request.model,
      choices: [{ index: 0, delta: { content: 'hi' }, finish_reason: 'stop' }],
    };
  };
  const one = await serve({ engine: text as never, input: 'text', surfaces: ['chat'] });
  await serve({
    engine: async function* () {
      throw new Error('not mine');
    } as never,
    input: 'text',
    surfaces: ['chat'],
  });
  await one.addLora({ name: 'x', path: await adapter('x') });
  await shown(frontend, ['base', 'x']);
  for (let turn = 0; turn < 4; turn++) {
    const { status } = await frontend.inject({
      method: 'POST',
      path: '/v1/chat/completions',
      body: { model: 'x', messages: [{ role: 'user', content: 'hi' }] },
    });
    expect(status).toBe(200);
  }
  expect(asked).toEqual(['x', 'x', 'x', 'x']);
});
