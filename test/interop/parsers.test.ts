import { type Frontend, Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findPython, freePort, scene, startFrontend, startPeer } from './python.ts';
import { ids, tiny } from './tiny-model.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

/** Chunks of one token, as engines send them. */
const perToken = (text: string): number[][] => ids(text).map((id) => [id]);

const call = '{"name":"f","arguments":{"a":"b"}}';
const scripts: Readonly<Record<string, number[][]>> = {
  plain: perToken('Just text, Hé 日本!'),
  think: perToken('<think>hm</think>Ok.'),
  tool: perToken(`<think>hm</think>Ok <tool_call>${call}</tool_call>`),
  call: perToken(`<tool_call>${call}</tool_call>`),
  two: [ids(`<tool_call>${call}</tool_call><tool_call>${call}</tool_call>`)],
  named: perToken('{"a":"x"}'),
  guided: perToken('[{"name":"f","parameters":{"a":"x"}}]'),
  coder: perToken('Hm. <tool_call>\n<function=f>\n<parameter=a>\nb\n</parameter>\n</function>\n</tool_call>'),
  kimi: perToken(
    '<think>k</think><|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"a": 1}<|tool_call_end|><|tool_calls_section_end|>',
  ),
};

/** Models by name: their parsers, and who serves them. */
const models = {
  py_hermes: { tools: 'hermes', reasoning: 'qwen3', by: 'python' },
  py_kimi: { tools: 'kimi_k2', reasoning: 'deepseek_r1', by: 'python' },
  our_hermes: { tools: 'hermes', reasoning: 'qwen3', by: 'us' },
  our_coder: { tools: 'qwen3_coder', reasoning: 'step3', by: 'us' },
  our_odd: { tools: 'nobody_knows', reasoning: 'nor_this', by: 'us' },
} as const;

const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object', properties: { a: { type: 'string' } } } } }];
const cases: [model: keyof typeof models, script: string, more: object][] = [
  ['py_hermes', 'tool', { tools }],
  ['py_hermes', 'two', { tools }],
  ['py_hermes', 'call', { tools }],
  ['py_hermes', 'guided', { tools, tool_choice: 'required' }],
  ['py_hermes', 'tool', {}],
  ['py_hermes', 'plain', { tools }],
  ['py_kimi', 'kimi', { tools }],
  ['py_kimi', 'think', { chat_template_kwargs: { thinking: false } }],
  ['our_hermes', 'tool', { tools }],
  ['our_hermes', 'named', { tools, tool_choice: { type: 'function', function: { name: 'f' } } }],
  ['our_hermes', 'think', { reasoning_effort: 'none' }],
  ['our_coder', 'coder', { tools }],
  ['our_coder', 'plain', {}],
  ['our_odd', 'think', {}],
  ['our_odd', 'tool', { tools }],
];

describe.skipIf('missing' in found)('parsers on the cards of real workers and ours, both frontends', () => {
  const stack = new AsyncDisposableStack();
  let ours: Frontend;
  let real: { url: string };

  async function* engine(request: TokenRequest) {
    const prompt = Buffer.from(request.tokenIds.filter((id) => id < 256)).toString();
    for (const tokenIds of scripts[/@@(\w+)@@/.exec(prompt)?.[1] ?? ''] ?? []) yield { tokenIds };
    yield { tokenIds: [], finishReason: 'stop' as const };
  }

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const runtime = stack.use(await DistributedRuntime.connect());
    const llm = new Llm(runtime);
    for (const [name, { tools: toolParser, reasoning, by }] of Object.entries(models)) {
      if (by === 'us')
        await llm.serve({
          endpoint: `dynamo.${name}.generate`,
          model: tiny,
          name,
          surfaces: ['chat'],
          parsers: { tools: toolParser, reasoning },
          engine,
        });
      else
        stack.use(
          startPeer(python, 'py_scripted.py', {
            args: [`dynamo.${name}.generate`, tiny, name, toolParser, reasoning],
            env: { ...env, SCRIPTS: JSON.stringify(scripts) },
          }),
        );
    }
    ours = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
    real = stack.use(await startFrontend(python, { port: await freePort(), env }));
  });
  afterAll(() => stack.disposeAsync());

  const listed = async (url: string): Promise<string[]> =>
    ((await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] }).data.map(({ id }) => id).toSorted();

  /** The answer with its ids and times taken out. */
  async function ask(url: string, body: object): Promise<{ status: number; text: string }> {
    const response = await fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = (await response.text())
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
      .replace(/"created":\d+/g, '"created":0');
    return { status: response.status, text };
  }

  test('both list all models', async () => {
    for (const url of [ours.address, real.url])
      await expect.poll(async () => listed(url), { timeout: 50_000 }).toEqual(Object.keys(models).toSorted());
  });

  test.each(cases)('%s answers %s, case %$', async (model, script, more) => {
    const body = { model, messages: [{ role: 'user', content: `@@${script}@@` }], ...more };
    const [whole, wholeThere] = await Promise.all([ask(ours.address, body), ask(real.url, body)]);
    expect({ ...whole, text: JSON.parse(whole.text) }).toEqual({ ...wholeThere, text: JSON.parse(wholeThere.text) });
    const stream = { ...body, stream: true, stream_options: { include_usage: true } };
    expect(await ask(ours.address, stream)).toEqual(await ask(real.url, stream));
  });
});
