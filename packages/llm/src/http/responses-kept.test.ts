import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';

let runtime: DistributedRuntime;
let frontend: Frontend;
let worker: ScriptedWorker;

beforeAll(async () => {
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  worker = await scriptedWorker(runtime, 'both', { parsers: { tools: 'hermes', reasoning: 'qwen3' } });
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models).toEqual(['both']), 10_000);
});
afterAll(async () => {
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

const said = (text: string): void => {
  worker.script = [{ _textall: text }, { token_ids: [], finish_reason: 'stop' }];
  worker.received.length = 0;
};
const post = (body: object, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${frontend.address}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'both', ...body }),
  });
const ask = async (body: object, headers: Record<string, string> = {}): Promise<any> => (await post(body, headers)).json();
const prompt = (): string => Buffer.from((worker.received[0]?.request as { token_ids: number[] }).token_ids.filter((id) => id < 256)).toString();

test('a dialogue goes on over three requests, with calls and their results, whole and as a stream', async () => {
  said('<tool_call>{"name":"f","arguments":{"a":1}}</tool_call>');
  const tools = [{ type: 'function', name: 'f', parameters: { type: 'object', properties: {} }, strict: false }];
  const first = await ask({ input: 'weather?', instructions: 'be brief', tools });
  expect(first.store).toBe(true);
  const [call] = first.output;
  said('sunny');
  const second = await (
    await post({ input: [{ type: 'function_call_output', call_id: call.call_id, output: '42' }], previous_response_id: first.id, stream: true })
  ).text();
  expect(second).toContain('response.completed');
  expect(prompt()).toBe('user\nweather?\nassistant\n{"name": "f", "arguments": {"a": 1}}\ntool\n42\nassistant\n');
  const id = /"id":"(resp_[0-9a-f]{32})"/.exec(second)?.[1];
  said('bye');
  const third = await ask({ input: 'thanks', previous_response_id: id });
  expect(prompt()).toContain('tool\n42\nassistant\nsunny\nuser\nthanks\nassistant\n');
  expect(third.previous_response_id).toBe(id);
});

test('a kept response can be read and deleted, by its owner alone', async () => {
  said('hello');
  const mine = { authorization: 'Bearer one' };
  const made = await ask({ input: 'hi' }, mine);
  const url = `${frontend.address}/v1/responses/${made.id}`;
  expect(await (await fetch(url, { headers: mine })).json()).toEqual(made);
  const notFound = { message: `Response with id '${made.id}' not found.`, type: 'Not Found', code: 404 };
  for (const headers of [{}, { authorization: 'Bearer two' }]) {
    expect(await (await fetch(url, { headers })).json()).toEqual(notFound);
    expect((await fetch(url, { method: 'DELETE', headers })).status).toBe(404);
    expect(await ask({ input: 'go on', previous_response_id: made.id }, headers)).toEqual(notFound);
  }
  expect(await (await fetch(url, { method: 'DELETE', headers: mine })).json()).toEqual({ id: made.id, object: 'response', deleted: true });
  expect((await fetch(url, { headers: mine })).status).toBe(404);
});

test('what must not be kept is not, and what failed is not either', async () => {
  said('hello');
  const made = await ask({ input: 'hi', store: false });
  expect(made.store).toBe(false);
  expect((await fetch(`${frontend.address}/v1/responses/${made.id}`)).status).toBe(404);
  worker.script = [{ _text: 'a' }, { _raise: 'RuntimeError', msg: 'boom' }];
  const failed = await (await post({ input: 'hi', stream: true })).text();
  const id = /"id":"(resp_[0-9a-f]{32})"/.exec(failed)?.[1];
  expect(failed).toContain('event: response.failed');
  expect((await fetch(`${frontend.address}/v1/responses/${id}`)).status).toBe(404);
});

test.each(['', 'resp_1', '../x', 'r'.repeat(100_000)])('an id that nobody knows is told of in the shape of the route', async (id) => {
  const response = await post({ input: 'hi', previous_response_id: id });
  expect([response.status, await response.json()]).toMatchObject([404, { type: 'Not Found', code: 404 }]);
});

test('a thousand tools, and bodies broken anywhere, are answered in words and break nothing', async () => {
  const tools = Array.from({ length: 1_000 }, (_, index) => ({ type: 'function', name: `f${index}`, parameters: { type: 'object' } }));
  said('ok');
  expect((await ask({ input: 'hi', tools })).output[0].content[0].text).toBe('ok');
  const whole = JSON.stringify({
    model: 'both',
    input: [
      { role: 'user', content: [{ type: 'input_text', text: 'hi' }] },
      { type: 'function_call', call_id: 'c', name: 'f', arguments: '{}' },
    ],
    tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: false }],
    text: { format: { type: 'json_object' } },
  });
  const odd = ['null', '5', '"x"', '[]', '{}', '[[]]', '{"type":"x"}', 'true', '1e999'];
  const broken = Array.from({ length: whole.length / 3 }, (_, index) => whole.slice(0, index * 3));
  const members = ['input', 'tools', 'text', 'tool_choice', 'reasoning', 'metadata', 'instructions', 'stream', 'nvext', 'include', 'temperature'];
  const swapped = members.flatMap((member) => odd.map((value) => `{"model":"both","input":"hi","${member}":${value}}`));
  for (const body of [...broken, ...swapped]) {
    const response = await fetch(`${frontend.address}/v1/responses`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const text = await response.text();
    if (response.status !== 200) {
      const told = JSON.parse(text);
      expect([body, told.code, typeof told.message, typeof told.type]).toEqual([body, response.status, 'string', 'string']);
    }
    expect([body, [200, 400, 501].includes(response.status)]).toEqual([body, true]);
  }
});
