import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';
import { askRow, readRows } from './testing/captured-rows.ts';

const rows = readRows('./messages-1.6.1.ndjson');

let runtime: DistributedRuntime;
let frontend: Frontend;
const workers = new Map<string, ScriptedWorker>();

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  workers.set('tok', await scriptedWorker(runtime, 'tok', { contextLength: 512 }));
  workers.set('both', await scriptedWorker(runtime, 'both', { parsers: { tools: 'hermes', reasoning: 'qwen3' } }));
  workers.set('text', await scriptedWorker(runtime, 'text', { input: 'text' }));
  const chatTemplate = fileURLToPath(new URL('./testing/variables.jinja', import.meta.url));
  workers.set('show', await scriptedWorker(runtime, 'show', { chatTemplate }));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0, messages: { enabled: true } } });
  await vi.waitFor(() => expect(frontend.models).toHaveLength(4), 10_000);
});

afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** Where the frontend answers otherwise, and why (docs/decisions/2026-11-25-messages-of-anthropic.md). */
const otherwise: Readonly<Record<string, string>> = {
  tool_bad_args: 'a call whose arguments are no object is told of, not dropped',
  tool_bad_args_s: 'a call whose arguments are no object is told of, not dropped',
  tools_s: 'a call is told as soon as it is whole, which is a token earlier',
  think_text_think_s: 'what is thought behind a text opens a block of its own, in place of going on in one that was closed',
  raise_Http_s: 'a status that a worker raises in a stream is told as in chats',
  mem_stops33: 'too many stop sequences are refused in the words of chats',
  both_choice_any: 'text beside a call that was required is told of, not dropped',
  both_choice_tool: 'text beside a call that was required is told of, not dropped',
  both_choice_tool_noname: 'text beside a call that was required is told of, not dropped',
};
for (const [name, reason] of Object.entries(otherwise)) test.skip(`${name}: ${reason}`);

const held = rows.filter(([name]) => otherwise[name] === undefined);
test.each(held.map((row) => [row[0], row] as const))('%s', async (_name, row) => {
  const { ours, theirs } = await askRow(frontend.address, workers.get(row[1]) as ScriptedWorker, row);
  expect(ours).toEqual(theirs);
});

test('one model is described in the form of the API for its clients, and in the other form for others', async () => {
  const ask = async (headers: Record<string, string>): Promise<any> => (await fetch(`${frontend.address}/v1/models/tok`, { headers })).json();
  expect(await ask({ 'anthropic-version': '2023-06-01' })).toEqual({
    id: 'tok',
    display_name: 'tok',
    type: 'model',
    created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:]{8}Z$/),
    max_input_tokens: 512,
  });
  expect(await ask({})).toMatchObject({ id: 'tok', object: 'model' });
});
