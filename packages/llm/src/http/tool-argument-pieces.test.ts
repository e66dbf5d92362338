import { OpenAI } from 'openai';
import { DistributedRuntime } from '@dynamo/runtime';
import { expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptedWorker, scriptedWorker } from '../testing/scripted-worker.ts';

const asked = { 'x-dynamo-stream-tool-arguments': 'true' };
const parameters = { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } } };
const tools = [{ type: 'function' as const, function: { name: 'weather', parameters } }];
const args = '{"city": "Bern, \\"BE\\"", "days": 3}';
const call = ['<tool_call>', '{"name":', ' "weather", "argu', 'ments": {"city":', ' "Bern, \\"B', 'E\\"", ', '"days": 3}', '}', '</tool_call>'];

/** A frontend over a worker whose answer comes piece by piece. */
async function served(pieces: readonly string[], options: object = {}): Promise<AsyncDisposable & { frontend: Frontend; worker: ScriptedWorker }> {
  await using undo = new AsyncDisposableStack();
  const runtime = undo.use(await DistributedRuntime.connect({ discovery: 'mem' }));
  const worker = undo.use(await scriptedWorker(runtime, 'm', { parsers: { tools: 'hermes', reasoning: 'qwen3' } }));
  worker.script = [...pieces.map((text) => ({ _textall: text })), { token_ids: [], finish_reason: 'stop' }];
  const http = { host: '127.0.0.1', port: 0, messages: { enabled: true }, ...options };
  const frontend = undo.use(await new Llm(runtime).frontend({ http }));
  await vi.waitFor(() => expect(frontend.models).toEqual(['m']), 10_000);
  const stack = undo.move();
  return { frontend, worker, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** The events of an answer, by what they carry. */
async function events(frontend: Frontend, path: string, body: object, headers: Record<string, string>): Promise<Record<string, any>[]> {
  const response = await fetch(frontend.address + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'm', stream: true, ...body }),
  });
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'));
  return lines.map((line) => JSON.parse(line.slice(6)));
}

const chat = { messages: [{ role: 'user', content: 'hi' }], tools };
const piecesOf = (chunks: readonly Record<string, any>[]): string[] =>
  chunks.flatMap((chunk) => (chunk['choices'][0]?.delta.tool_calls ?? []).map((one: any) => one.function.arguments));

test('chat: whole by default, as they come where the client asks for it, in any stream of the same call', async () => {
  await using it = await served(call);
  const { frontend } = it;
  expect(piecesOf(await events(frontend, '/v1/chat/completions', chat, {}))).toEqual([args]);
  const chunks = await events(frontend, '/v1/chat/completions', chat, asked);
  expect(piecesOf(chunks).length).toBeGreaterThan(3);
  expect(piecesOf(chunks).join('')).toBe(args);
  const calls = chunks.flatMap((chunk) => chunk['choices'][0]?.delta.tool_calls ?? []);
  expect(calls[0]).toEqual({
    index: 0,
    id: expect.stringMatching(/^call-/),
    type: 'function',
    function: { name: 'weather', arguments: expect.any(String) },
  });
  for (const more of calls.slice(1)) expect(more).toEqual({ index: 0, function: { arguments: expect.any(String) } });
  expect(chunks.at(-1)?.['choices'][0].finish_reason).toBe('tool_calls');
});

test('the openai client puts the call together, streamed and run', async () => {
  await using it = await served(call);
  const client = new OpenAI({ baseURL: `${it.frontend.address}/v1`, apiKey: 'none', maxRetries: 0, defaultHeaders: asked });
  const deltas: string[] = [];
  const stream = client.chat.completions
    .stream({ ...chat, model: 'm' } as Parameters<typeof client.chat.completions.stream>[0])
    .on('tool_calls.function.arguments.delta', (delta) => deltas.push(delta.arguments_delta));
  const { choices } = await stream.finalChatCompletion();
  expect(choices[0]?.message.tool_calls).toEqual([
    expect.objectContaining({ function: expect.objectContaining({ name: 'weather', arguments: args }) }),
  ]);
  expect(choices[0]?.finish_reason).toBe('tool_calls');
  expect([deltas.length > 3, deltas.join('')]).toEqual([true, args]);
  // Whole answers are the same with and without.
  const whole = await client.chat.completions.create({ ...chat, model: 'm' } as OpenAI.ChatCompletionCreateParamsNonStreaming);
  expect(whole.choices[0]?.message.tool_calls).toEqual([expect.objectContaining({ function: { name: 'weather', arguments: args } })]);
});

test('messages and responses: by the same header', async () => {
  await using it = await served(call);
  const { frontend } = it;
  const message = { max_tokens: 99, messages: chat.messages, tools: [{ name: 'weather', input_schema: parameters }] };
  const response = { input: 'hi', tools: [{ type: 'function', name: 'weather', parameters }] };
  for (const [headers, many] of [
    [{}, false],
    [asked, true],
  ] as const) {
    const told = await events(frontend, '/v1/messages', message, headers);
    const json = told.filter(({ delta }) => delta?.type === 'input_json_delta').map(({ delta }) => delta.partial_json);
    expect([json.join(''), json.length > 3]).toEqual([args, many]);
    expect(told.find(({ type }) => type === 'message_delta')?.['delta'].stop_reason).toBe('tool_use');
    const items = await events(frontend, '/v1/responses', response, headers);
    const deltas = items.filter(({ type }) => type === 'response.function_call_arguments.delta').map(({ delta }) => delta);
    expect([deltas.join(''), deltas.length > 3]).toEqual([args, many]);
    expect(items.find(({ type }) => type === 'response.function_call_arguments.done')?.['arguments']).toBe(args);
  }
});

test('arguments that go wrong stay as far as they came, and the end does not claim a call', async () => {
  await using it = await served([...call.slice(0, 5), '\n\\q"', '}}', '</tool_call>', ' Sorry'], { dispatch: { calls: true } });
  const { frontend } = it;
  const chunks = await events(frontend, '/v1/chat/completions', chat, asked);
  const told = piecesOf(chunks.filter(({ choices }) => choices !== undefined)).join('');
  expect(told).toBe('{"city": "Bern, \\"B\n\\q"}');
  expect(() => JSON.parse(told)).toThrow();
  // No event of its own tells of a call that is none.
  expect(chunks.every(({ tool_call: one }) => one === undefined)).toBe(true);
  expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toContain('Sorry');
  expect(chunks.at(-1)?.['choices'][0].finish_reason).toBe('stop');
  const message = { max_tokens: 99, messages: chat.messages, tools: [{ name: 'weather', input_schema: parameters }] };
  const answered = await events(frontend, '/v1/messages', message, asked);
  expect(answered.find(({ type }) => type === 'message_delta')?.['delta'].stop_reason).toBe('end_turn');
  const response = { input: 'hi', tools: [{ type: 'function', name: 'weather', parameters }] };
  const items = await events(frontend, '/v1/responses', response, asked);
  const ended = items.filter(({ type, item }) => type === 'response.output_item.done' && item.type === 'function_call');
  expect(ended.map(({ item }) => item.status)).toEqual(['incomplete']);
});

test('what is thought in the middle of arguments comes behind them in a message', async () => {
  await using it = await served([...call.slice(0, 5), '<think>', 'hm', '</think>', ...call.slice(5), 'So.']);
  const message = { max_tokens: 99, messages: chat.messages, tools: [{ name: 'weather', input_schema: parameters }] };
  const told = await events(it.frontend, '/v1/messages', message, asked);
  const blocks = told.filter(({ type }) => type === 'content_block_start').map(({ content_block: block }) => block.name ?? block.type);
  expect(blocks).toEqual(['weather', 'thinking', 'text']);
  expect(told.map(({ delta }) => delta?.partial_json ?? '').join('')).toBe(args);
  expect(told.map(({ delta }) => delta?.thinking ?? '').join('')).toBe('hm');
});
