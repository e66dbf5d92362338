import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptStep, scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';

/**
 * Requests sent to `/v1/messages` and its count of the frontend of 1.6.1: a name, the model, what its worker answers, path,
 * body, status, the answer, and what the worker got: of tokenized requests the prompt and every member that is set.
 */
type Row = [string, string, ScriptStep[], string, string, number, string, Record<string, unknown>[]];

const rows = readFileSync(new URL('./testing/messages-1.6.1.ndjson', import.meta.url), 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((line) => decodeJson(Buffer.from(line)) as Row);

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

/** What differs from run to run. */
const normal = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/"(\w+)_[0-9a-f]{32}"/g, '"$1_<hex32>"')
    .replace(/"(created_at|completed_at)":\d+/g, '"$1":0')
    .replace(/"(\w+_ms)":[\d.e+-]+/g, '"$1":0')
    .replace(/"(\w*worker_id)":\d+/g, '"$1":1');

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

test.each(rows.filter(([name]) => otherwise[name] === undefined))('%s', async (_name, model, script, path, body, status, text, received) => {
  const worker = workers.get(model) as ScriptedWorker;
  worker.script = script;
  worker.received.length = 0;
  const type = _name === 'noct' ? 'text/plain' : 'application/json';
  const response = await fetch(frontend.address + path, { method: 'POST', headers: { 'content-type': type }, body: Buffer.from(body) });
  const answer = normal(await response.text());
  expect([response.status, answer.startsWith('event:') ? answer.split('\n\n') : jsonOf(answer)]).toEqual([
    status,
    text.startsWith('event:') ? normal(text).split('\n\n') : jsonOf(normal(text)),
  ]);
  expect(worker.received.map(({ request }) => seen(request as Record<string, unknown>))).toEqual(received.map(plain));
});

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

const plain = (value: unknown): any => JSON.parse(JSON.stringify(value, (_key, member) => (typeof member === 'bigint' ? Number(member) : member)));
const set = (value: object): object => Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null));
const constant = [
  'token_ids',
  'sampling_options',
  'stop_conditions',
  'output_options',
  'model',
  'eos_token_ids',
  'mdc_sum',
  'annotations',
  'router_config_override',
];

function seen(request: Record<string, unknown>): unknown {
  const wire = plain(request);
  if (wire.token_ids === undefined) return wire;
  const { stop_token_ids_hidden: _, ...stop } = wire.stop_conditions;
  return {
    prompt: Buffer.from(wire.token_ids.filter((id: number) => id < 256)).toString(),
    sampling: set(wire.sampling_options),
    stop: set(stop),
    output: set(wire.output_options),
    extra: Object.fromEntries(Object.entries(wire).filter(([name]) => !constant.includes(name))),
    annotations: wire.annotations,
  };
}
