import { fileURLToPath } from 'node:url';
import { type Frontend, Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { findPython, freePort, scene, startFrontend } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

const chat = (more: object = {}, content: unknown = 'hello'): object => ({ model: 'twin', messages: [{ role: 'user', content }], ...more });
const comp = (more: object = {}): object => ({ model: 'twin', prompt: 'hello', ...more });

/** Requests that are no part of the captures: both frontends must read and answer them alike. */
const requests: readonly (readonly [string, string, unknown])[] = [
  ['plain chat', 'chat/completions', chat()],
  ['streamed chat', 'chat/completions', chat({ stream: true })],
  ['usage in the stream', 'chat/completions', chat({ stream: true, stream_options: { include_usage: true } })],
  [
    'three turns',
    'chat/completions',
    {
      model: 'twin',
      messages: [
        { role: 'system', content: 'be brief' },
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
        { role: 'user', content: 'c' },
      ],
    },
  ],
  ['unicode', 'chat/completions', chat({ stream: true }, '日本 🎉 é')],
  ['sampling', 'chat/completions', chat({ temperature: 0.3, top_p: 0.9, top_k: 5, seed: 7, frequency_penalty: 0.1, presence_penalty: -0.5 })],
  ['stop string', 'chat/completions', chat({ stop: 'ell' })],
  ['stop list, streamed', 'chat/completions', chat({ stop: ['zz', 'lo'], stream: true })],
  ['stop across chunks that fails', 'chat/completions', chat({ stop: ['llx', 'hq'], stream: true })],
  ['stop included', 'chat/completions', chat({ stop: ['ll'], include_stop_str_in_output: true })],
  ['stop ids', 'chat/completions', chat({ stop_token_ids: [108] })],
  ['min tokens', 'chat/completions', chat({ stop_token_ids: [104], min_tokens: 3 })],
  ['an end that comes too early', 'chat/completions', chat({ min_tokens: 3, skip_special_tokens: false }, 'early end')],
  ['an end that comes too early, streamed', 'chat/completions', chat({ min_tokens: 2, stream: true }, 'early end')],
  ['a stop id that comes too early, streamed', 'completions', comp({ min_tokens: 2, stop_token_ids: [97], prompt: 'early end', stream: true })],
  ['ignore eos', 'chat/completions', chat({ ignore_eos: true, stop: ['l'] })],
  ['max tokens 1', 'chat/completions', chat({ max_tokens: 1 })],
  ['template arguments', 'chat/completions', chat({ chat_template_args: { inject_think: true } })],
  [
    'parts of text',
    'chat/completions',
    chat({}, [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ]),
  ],
  ['no role', 'chat/completions', { model: 'twin', messages: [{ content: 'x' }] }],
  ['null content', 'chat/completions', { model: 'twin', messages: [{ role: 'user', content: null }] }],
  ['messages is text', 'chat/completions', { model: 'twin', messages: 'x' }],
  ['model is a number', 'chat/completions', { model: 3, messages: [] }],
  ['no messages', 'chat/completions', { model: 'twin', messages: [] }],
  ['no model', 'chat/completions', { messages: [{ role: 'user', content: 'x' }] }],
  ['unknown model', 'chat/completions', { model: 'nobody', messages: [{ role: 'user', content: 'x' }] }],
  ['temperature 3', 'chat/completions', chat({ temperature: 3 })],
  ['temperature text', 'chat/completions', chat({ temperature: 'hot' })],
  ['top_p 0', 'chat/completions', chat({ top_p: 0 })],
  ['max_tokens -1', 'chat/completions', chat({ max_tokens: -1 })],
  ['max_tokens 1.5', 'chat/completions', chat({ max_tokens: 1.5 })],
  ['n 0', 'chat/completions', chat({ n: 0 })],
  ['stream 1', 'chat/completions', chat({ stream: 1 })],
  ['unknown member', 'chat/completions', chat({ surprise: true })],
  ['array', 'chat/completions', [1]],
  ['null', 'chat/completions', null],
  ['text', 'chat/completions', 'text'],
  ['completion', 'completions', comp()],
  ['streamed completion', 'completions', comp({ stream: true, stream_options: { include_usage: true } })],
  ['two prompts', 'completions', comp({ prompt: ['a', 'b'] })],
  ['token prompt', 'completions', comp({ prompt: [104, 105] })],
  ['one prompt in a list', 'completions', comp({ prompt: ['solo'] })],
  ['empty list', 'completions', comp({ prompt: [] })],
  ['empty text', 'completions', comp({ prompt: '' })],
  ['prompt is null', 'completions', comp({ prompt: null })],
  ['logprobs 9', 'completions', comp({ logprobs: 9 })],
  ['user empty', 'completions', comp({ user: '' })],
  ['engine argument', 'chat/completions', chat({}, 'fail argument')],
  ['engine argument, streamed', 'chat/completions', chat({ stream: true }, 'fail argument')],
  ['engine fault', 'chat/completions', chat({}, 'fail engine')],
  ['engine fault, streamed', 'chat/completions', chat({ stream: true }, 'fail engine')],
  ['engine cancels', 'chat/completions', chat({}, 'fail cancelled')],
];

describe.skipIf('missing' in found)('our frontend beside the real one, on the same worker of ours', () => {
  const stack = new AsyncDisposableStack();
  let received: TokenRequest[] = [];
  let ours: Frontend;
  let real: string;

  /** Echoes "hello", then an end of sequence. */
  async function* engine(request: TokenRequest) {
    received.push(request);
    const prompt = Buffer.from(request.tokenIds.filter((id) => id < 256)).toString();
    if (prompt.includes('fail argument')) throw new DynamoError('invalid_argument', 'no such thing', { origin: 'backend' });
    if (prompt.includes('fail engine')) throw new Error('secret');
    if (prompt.includes('fail cancelled')) throw new DynamoError('cancelled', 'changed my mind', { origin: 'backend' });
    if (prompt.includes('early end')) for (const id of [97, 258, 98, 99]) yield { tokenIds: [id] };
    for (const id of [...Buffer.from('hello')]) yield { tokenIds: [id] };
    yield { tokenIds: [258], finishReason: 'stop' as const };
  }

  beforeAll(async () => {
    const { env } = stack.use(await scene());
    Object.assign(process.env, env);
    const runtime = stack.use(await DistributedRuntime.connect());
    const llm = new Llm(runtime);
    stack.use(await llm.serve({ endpoint: 'dynamo.backend.generate', model: tiny, name: 'twin', engine }));
    ours = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 } }));
    real = stack.use(await startFrontend(python, { port: await freePort(), env })).url;
    await vi.waitFor(async () => expect(await (await fetch(`${real}/v1/models`)).text()).toContain('"twin"'), 30_000);
    await vi.waitFor(() => expect(ours.models).toEqual(['twin']), 10_000);
  });
  afterAll(() => stack.disposeAsync());

  const normal = (text: string): string =>
    text.replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>').replace(/"created":\d+/g, '"created":0');

  async function exchange(base: string, path: string, body: unknown): Promise<unknown> {
    received = [];
    const response = await fetch(`${base}/v1/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    const text = normal(await response.text());
    const json = response.headers.get('content-type')?.includes('json') === true;
    return { status: response.status, answer: json ? JSON.parse(text) : text, engine: received };
  }

  test.each(requests)('%s', async (_name, path, body) => {
    const theirs = await exchange(real, path, body);
    expect(await exchange(ours.address, path, body)).toEqual(theirs);
  });
});
