import { DistributedRuntime, type Served } from '@dynamo/runtime';
import { mem, MemStore } from '@dynamo/runtime/internal';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Llm } from '../llm.ts';
import { tinyModel } from '../testing/scripted-worker.ts';
import type { ServeModelOptions } from '../worker/serve-model.ts';
import type { Frontend, FrontendOptions } from './frontend.ts';

let stack: AsyncDisposableStack;
let store: MemStore;
beforeEach(() => {
  stack = new AsyncDisposableStack();
  store = new MemStore();
});
afterEach(() => stack.disposeAsync());

const connect = async (): Promise<DistributedRuntime> => stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
const open = async (options: FrontendOptions = {}): Promise<Frontend> =>
  stack.use(await new Llm(await connect()).frontend({ http: false, ...options }));
/** A worker in a runtime of its own, whose answer is one letter. */
const serve = async (letter: string, options: Partial<ServeModelOptions> = {}): Promise<Served> =>
  new Llm(await connect()).serve({
    endpoint: 'ns.backend.generate',
    model: tinyModel,
    name: 'm',
    engine: async function* () {
      yield { tokenIds: [letter.charCodeAt(0)], finishReason: 'stop' as const };
    },
    ...options,
  });
const models = (frontend: Frontend, names: readonly string[]): Promise<void> =>
  vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(names), 10_000);

async function ask(frontend: Frontend, model = 'm', path = '/v1/completions', body: object = { prompt: 'x' }): Promise<string> {
  const answer = await frontend.inject({ path, method: 'POST', body: { model, ...body } });
  // Without any model of a surface its route is not there: 404 and nothing else.
  const { choices } = JSON.parse(answer.body || '{}') as { choices?: { text: string }[] };
  return choices?.[0]?.text ?? String(answer.status);
}

test('a frontend looks at the namespaces that it is told to, and at all by default', async () => {
  const seen: [FrontendOptions, readonly string[]][] = [
    [{}, ['a', 'ab', 'b']],
    [{ namespace: 'a' }, ['a']],
    [{ namespace: 'dynamo' }, ['a', 'ab', 'b']],
    [{ namespace: '' }, ['a', 'ab', 'b']],
    [{ namespacePrefix: 'a' }, ['a', 'ab']],
    [{ namespacePrefix: 'a', namespace: 'b' }, ['a', 'ab']],
    [{ namespace: 'c' }, []],
  ];
  for (const name of ['a', 'ab', 'b']) await serve('x', { name, endpoint: `${name}.backend.generate` });
  const frontends = await Promise.all(seen.map(([options]) => open(options)));
  await models(frontends[0] as Frontend, ['a', 'ab', 'b']);
  for (const [index, [, names]] of seen.entries()) await models(frontends[index] as Frontend, names);
});

test('a worker whose card contradicts its set is left out, and taken in when the set has gone', async () => {
  const frontend = await open();
  const first = await serve('a');
  await models(frontend, ['m']);
  const same = await serve('b', { userData: { of: 'b' }, taints: ['slow'] });
  await serve('c', { contextLength: 77 });
  // The second differs in nothing that the checksum looks at.
  await vi.waitFor(async () => expect(new Set([await ask(frontend), await ask(frontend)])).toEqual(new Set(['a', 'b'])), 10_000);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(frontend)));
  expect(new Set(answers)).toEqual(new Set(['a', 'b']));
  await first[Symbol.asyncDispose]();
  await same[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect(await ask(frontend)).toBe('c'), 10_000);
});

test('a model comes, goes and comes back, under all of its names', async () => {
  const frontend = await open();
  for (const letter of ['a', 'b', 'c']) {
    const served = await serve(letter, { aliases: ['also', 'and/third'] });
    await models(frontend, ['also', 'and/third', 'm']);
    for (const name of ['m', 'also', 'and/third']) expect(await ask(frontend, name)).toBe(letter);
    await served[Symbol.asyncDispose]();
    await models(frontend, []);
    expect(await ask(frontend)).toBe('404');
  }
});

test('one name in two namespaces is one model, as long as either is there', async () => {
  const frontend = await open();
  const one = await serve('a', { endpoint: 'one.backend.generate' });
  await serve('b', { endpoint: 'two.backend.generate', surfaces: ['completions'], contextLength: 99 });
  await models(frontend, ['m']);
  await vi.waitFor(async () => expect(new Set([await ask(frontend), await ask(frontend)])).toEqual(new Set(['a', 'b'])), 10_000);
  await one[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect(await ask(frontend)).toBe('b'), 10_000);
  expect(await ask(frontend)).toBe('b');
});

test('an encode worker answers nobody and counts as there; who waits for it is not ready on any route', async () => {
  const frontend = await open();
  const chat = { messages: [{ role: 'user', content: 'x' }] };
  await serve('a', { needs: [['encode']], surfaces: ['completions'] });
  await serve('z', { name: 'other' });
  await models(frontend, ['other']);
  await vi.waitFor(async () => expect(await ask(frontend)).toBe('503'), 10_000);
  expect(await ask(frontend, 'm', '/v1/chat/completions', chat)).toBe('503');
  const encode = await serve('e', { endpoint: 'ns.encode.generate', role: 'encode' });
  await vi.waitFor(async () => expect(await ask(frontend)).toBe('a'), 10_000);
  expect(await ask(frontend, 'm', '/v1/chat/completions', chat)).toBe('404');
  await models(frontend, ['m', 'other']);
  await encode[Symbol.asyncDispose]();
  await vi.waitFor(async () => expect(await ask(frontend)).toBe('503'), 10_000);
});

test('a decode worker that can do without prefill workers reads prompts itself until there are some', async () => {
  const frontend = await open();
  await serve('d', { role: 'decode', needs: [['prefill', 'encode'], ['encode']] });
  await serve('e', { endpoint: 'ns.encode.generate', role: 'encode', needs: [['decode']] });
  await models(frontend, ['m']);
  expect(await ask(frontend)).toBe('d');
});
