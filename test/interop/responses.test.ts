import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Frontend } from '@dynamo/llm';
import { OpenAI } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findClientPython } from './clients/python.ts';
import { findPython } from './python.ts';
import { bothFrontends } from './both-frontends.ts';
import { weatherEngine } from './weather-engine.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
const clients = findClientPython();
for (const { missing } of [found, clients] as { missing?: string }[]) if (missing !== undefined) console.warn(`skipped: ${missing}`);
const peer = fileURLToPath(new URL('peers/py_responses.py', import.meta.url));

const weather = weatherEngine();

describe.skipIf('missing' in found)('the Responses API, our frontend beside the real one, on a worker of ours', () => {
  const stack = new AsyncDisposableStack();
  let ours: Frontend;
  let real = '';

  beforeAll(async () => {
    const both = stack.use(await bothFrontends(python, weather.engine));
    ours = both.ours;
    real = both.real;
  });
  afterAll(() => stack.disposeAsync());

  const client = (base: string): OpenAI => new OpenAI({ baseURL: `${base}/v1`, apiKey: 'none', maxRetries: 0 });
  const tools = [{ type: 'function', name: 'weather', strict: false, parameters: { type: 'object', properties: { city: { type: 'string' } } } }];
  /** What differs between two answers; what is kept is ours alone. */
  const normal = (text: string): string =>
    text
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
      .replace(/\b(resp|msg|fc|rs)_[0-9a-f]{32}/g, '$1_<id>')
      .replace(/"(created_at|completed_at)":\d+/g, '"$1":0')
      .replace('"store":true', '"store":false');
  const ask = async (base: string, body: object): Promise<unknown> => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(`${base}/v1/responses`, { method: 'POST', headers, body: JSON.stringify({ model: 'tiny', ...body }) });
    const text = normal(await response.text());
    return [response.status, text.startsWith('{') ? JSON.parse(text) : text];
  };

  const questions: readonly object[] = [
    { input: 'hello' },
    { input: 'hello', reasoning: { effort: 'high', summary: 'auto' }, instructions: 'be brief', metadata: { a: 'b' } },
    { input: 'weather?', tools },
    { input: 'weather?', tools, tool_choice: { type: 'function', name: 'weather' } },
    {
      input: [
        { type: 'function_call', call_id: 'c', name: 'weather', arguments: '{"city":"Bern"}' },
        { type: 'function_call_output', call_id: 'c', output: 'rain in Bern' },
      ],
      tools,
    },
    { input: 'hello', text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' } } } },
    { input: 'fail midway' },
    { input: 'hello', background: true },
    { input: 'hello', tools: [{ type: 'web_search' }] },
    { input: 5 },
  ];
  test.each(
    questions
      .flatMap((question) => [question, { ...question, stream: true }])
      .map((question) => [JSON.stringify(question).slice(0, 90), question] as const),
  )('both answer the same: %s', async (_name, question) => {
    const asked = { ...question, store: false };
    expect(await ask(ours.address, asked)).toEqual(await ask(real, asked));
  });

  test('openai, npm: whole, streamed, with a tool, gone on from, refused, left', async () => {
    const { responses } = client(ours.address);
    const whole = await responses.create({ model: 'tiny', input: 'hello' });
    expect([whole.output_text, whole.status]).toEqual(['Hé 日本!', 'completed']);
    const called = await responses.create({ model: 'tiny', input: 'weather?', tools: tools as never });
    const [call] = called.output;
    if (call?.type !== 'function_call') throw new Error('no call');
    const result = { type: 'function_call_output' as const, call_id: call.call_id, output: 'rain in Bern' };
    let text = '';
    for await (const event of await responses.create({ model: 'tiny', input: [result], previous_response_id: called.id, stream: true }))
      if (event.type === 'response.output_text.delta') text += event.delta;
    expect(text).toBe('I see rain in Bern.');
    await expect(responses.create({ model: 'nobody', input: 'hello' })).rejects.toMatchObject({ status: 404 });
    await expect(responses.create({ model: 'tiny', input: 'hello', previous_response_id: 'resp_1' })).rejects.toMatchObject({ status: 404 });
    const before = weather.cancelled;
    for await (const event of await responses.create({ model: 'tiny', input: 'slowly', stream: true }))
      if (event.type === 'response.output_text.delta') break;
    await expect.poll(() => weather.cancelled, { timeout: 10_000 }).toBe(before + 1);
  });

  test.skipIf('missing' in clients)('openai and openai-agents, PyPI: whole tool loops among them', async () => {
    const before = weather.cancelled;
    const path = 'path' in clients ? clients.path : '';
    const { stdout } = await promisify(execFile)(path, [peer, `${ours.address}/v1`, 'tiny'], { timeout: 60_000 });
    expect(JSON.parse(stdout)).toEqual({
      whole: ['Hé 日本!', 'completed', 17],
      numbers: true,
      streamed: 'Hé 日本!',
      last: 'response.completed',
      more: ['Hé 日本!', 'Hé 日本!'],
      bad: 400,
      gone: 404,
      failed: 'response.failed',
      agent: 'I see rain in Bern.',
      agent_streamed: 'I see rain in Bern.',
    });
    await expect.poll(() => weather.cancelled, { timeout: 10_000 }).toBe(before + 1);
  });
});
