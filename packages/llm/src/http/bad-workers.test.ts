import { cp, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { cardFromDirectory } from '../model/card.ts';
import { modalEngine } from '../testing/modal-engine.ts';
import { scriptedWorker, type ScriptedWorker, tinyModel } from '../testing/scripted-worker.ts';

const stack = new AsyncDisposableStack();
let runtime: DistributedRuntime;
let frontend: Frontend;
let odd: ScriptedWorker;
let folder: string;
const told: string[] = [];

/** A copy of the tiny model, with something done to it. */
async function modelWith(name: string, change: (path: string) => Promise<void>): Promise<string> {
  const path = join(folder, name);
  await cp(tinyModel, path, { recursive: true });
  await change(path);
  return path;
}

const withTemplate =
  (template: string) =>
  async (path: string): Promise<void> => {
    const file = join(path, 'tokenizer_config.json');
    const config = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...config, chat_template: template }));
  };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dynamo-bad-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const say = (...words: unknown[]): void => void told.push(JSON.stringify(words));
  runtime = stack.use(await DistributedRuntime.connect({ discovery: 'mem', log: { debug: say, info: say, warn: say, error: say } as never }));
  const llm = new Llm(runtime);
  await llm.serve({ endpoint: 'bad.good.generate', model: tinyModel, name: 'good', engine: modalEngine as never });
  odd = await scriptedWorker(runtime, 'odd');
  frontend = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
  await vi.waitFor(() => expect(new Set(frontend.models)).toEqual(new Set(['good', 'odd'])), 10_000);
});
afterAll(() => stack.disposeAsync());

const ask = async (model: string, more: object = {}): Promise<{ status: number; text: string }> => {
  const response = await fetch(`${frontend.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], ...more }),
    signal: AbortSignal.timeout(20_000),
  });
  return { status: response.status, text: await response.text() };
};
const serve = (name: string, model: string): Promise<AsyncDisposable> =>
  new Llm(runtime).serve({ endpoint: `bad.${name}.generate`, model, name, engine: modalEngine as never });
const others = async (): Promise<void> => {
  const { status, text } = await ask('good');
  expect([status, text]).toEqual([200, expect.stringContaining('"fine"')]);
};

describe('a template that fails', () => {
  test.each([
    ['raises', "{{ raise_exception('roles must alternate') }}"],
    ['reads what is not there', '{{ messages[0].nothing.deeper }}'],
    ['calls what is no function', '{{ messages() }}'],
  ])('because it %s refuses the request in words, and no other model', async (name, template) => {
    const id = name.replaceAll(' ', '-');
    await using _ = await serve(id, await modelWith(id, withTemplate(template)));
    await vi.waitFor(() => expect(frontend.models).toContain(id), 10_000);
    for (const stream of [false, true]) {
      const { status, text } = await ask(id, { stream });
      expect(status, text).toBe(400);
      expect(JSON.parse(text)).toMatchObject({ code: 400, message: expect.stringMatching(/./) });
    }
    await others();
  });
});

describe('a model that can not be read is not offered, and the log says why', () => {
  test.each([
    ['torn', (path: string) => truncate(join(path, 'tokenizer.json'), 1_000), 'tokenizer.json'],
    ['no-tokenizer-at-all', (path: string) => writeFile(join(path, 'tokenizer.json'), '[]'), 'tokenizer.json'],
    ['broken-template', withTemplate('{% for x in %}'), 'template'],
  ])('%s', async (name, change, words) => {
    const path = await modelWith(name, change);
    const served = await serve(name, path).catch((error: unknown) => error as Error);
    if (served instanceof Error) expect(served).toMatchObject({ code: expect.any(String), message: expect.stringContaining(words) });
    else {
      await vi.waitFor(() => expect(told.join('\n')).toContain(name), 10_000);
      expect((await ask(name)).status).toBe(404);
      await served[Symbol.asyncDispose]();
    }
    await others();
  });

  test('a card that points to nothing', async () => {
    const path = await modelWith('gone', async () => undefined);
    const card = await cardFromDirectory(path, { name: 'gone' });
    await rm(path, { recursive: true });
    await using _ = await scriptedWorker(runtime, 'gone', { raw: card });
    await vi.waitFor(() => expect(told.join('\n')).toMatch(/"gone"|\/gone/), 10_000);
    expect((await ask('gone')).status).toBe(404);
    await others();
  });
});

describe('a worker that answers garbage', () => {
  const garbage: readonly unknown[] = [
    null,
    'text',
    7,
    true,
    [],
    [[1]],
    {},
    { token_ids: 'abc' },
    { token_ids: [-1] },
    { token_ids: [1.5] },
    { token_ids: [1e9] },
    { token_ids: [null] },
    { token_ids: { length: 3 } },
    { token_ids: [104], finish_reason: 42 },
    { token_ids: [104], finish_reason: 'whim' },
    { token_ids: [104], finish_reason: { error: 'engine words' } },
    { token_ids: [104], completion_usage: 'much' },
    { token_ids: [104], log_probs: 'x', top_logprobs: 3 },
    { token_ids: [104], index: -1 },
    { token_ids: [104], index: 2 ** 31 },
    { token_ids: [104], disaggregated_params: [1], extra_args: 'x' },
    { data: { token_ids: [104] } },
    { error: 1 },
  ];
  test.each(garbage.map((value) => [JSON.stringify(value), value]))('%s', async (_name, value) => {
    odd.script = [{ _text: 'ok' }, { _yield: value }, { token_ids: [], finish_reason: 'stop' }];
    const whole = await ask('odd', { logprobs: true, top_logprobs: 2 });
    expect([200, 500, 502], whole.text).toContain(whole.status);
    const answer = JSON.parse(whole.text) as { code?: number };
    if (whole.status !== 200) expect(answer).toMatchObject({ code: whole.status, message: expect.stringMatching(/./) });
    const streamed = await ask('odd', { stream: true });
    expect([200, 500, 502]).toContain(streamed.status);
    if (streamed.status === 200) expect(streamed.text.endsWith('data: [DONE]\n\n'), streamed.text).toBe(true);
    for (const line of streamed.text.split('\n')) if (line.startsWith('data: {')) JSON.parse(line.slice(6));
    await others();
  });
});
