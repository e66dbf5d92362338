import { readFileSync } from 'node:fs';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptStep, scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';

/**
 * Requests sent to the frontend of 1.6.1 for vectors, to text-input models, with routing and session headers, and for
 * busy thresholds: `METHOD path`, headers, body, what the worker answered (null: its usual answer), status, headers of the
 * answer, its body, and what the worker got, without the members that every tokenized request has. `<I>` is the id of the
 * only instance of model `tok`.
 */
type Row = [
  string,
  Record<string, string>,
  string | null,
  ScriptStep[] | null,
  number,
  Record<string, string>,
  string,
  [unknown, Record<string, string>?][],
];

const lines = readFileSync(new URL('testing/captured-1.6.1.ndjson', import.meta.url), 'utf8')
  .trim()
  .split('\n');

const usual = (model: string, usage: object): object => ({ object: 'list', model, usage });
const chatChunk = (delta: object, finish: string | null): ScriptStep => ({
  id: 'chatcmpl-x',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'text',
  choices: [{ index: 0, delta, finish_reason: finish }],
});
const textChunk = (text: string, finish: string | null): ScriptStep => ({
  id: 'cmpl-x',
  object: 'text_completion',
  created: 1,
  model: 'text',
  choices: [{ index: 0, text, finish_reason: finish }],
});
const counts = { prompt_tokens: 1, total_tokens: 1 };

/** What the captures' workers answered without a script. */
const answers: Readonly<Record<string, (path: string) => ScriptStep[]>> = {
  tok: () => [{ _text: 'hi' }, { token_ids: [], finish_reason: 'stop' }],
  emb: () => [{ embeddings: ['AAAAPwAAgD8='], prompt_tokens: 3, total_tokens: 3 }],
  embtext: () => [{ ...usual('embtext', counts), data: [{ object: 'embedding', index: 0, embedding: [0.5] }] }],
  cls: () => [{ ...usual('cls', { ...counts, completion_tokens: 0 }), id: 'c', created: 1, data: [] }],
  rer: () => [{ _yield: [{ index: 1, score: 0.9 }] }],
  text: (path) =>
    path.includes('chat')
      ? [chatChunk({ role: 'assistant', content: 'hello' }, null), chatChunk({ content: ' you' }, 'stop')]
      : [textChunk('hello', null), textChunk('!', 'stop')],
};

let runtime: DistributedRuntime;
let frontend: Frontend;
const workers = new Map<string, ScriptedWorker>();

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  const text = { input: 'text' as const };
  workers.set('tok', await scriptedWorker(runtime, 'tok'));
  workers.set('emb', await scriptedWorker(runtime, 'emb', { surfaces: ['embedding'] }));
  workers.set('embtext', await scriptedWorker(runtime, 'embtext', { ...text, surfaces: ['embedding'] }));
  workers.set('cls', await scriptedWorker(runtime, 'cls', { ...text, surfaces: ['classify', 'pooling'] }));
  workers.set('rer', await scriptedWorker(runtime, 'rer', { ...text, surfaces: ['rerank'] }));
  workers.set('text', await scriptedWorker(runtime, 'text', text));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 }, access: { admin: 'open' } });
  await vi.waitFor(() => expect(frontend.models).toHaveLength(workers.size), 10_000);
});

afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

const uuids = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g;
const normal = (text: string, instance: string): string =>
  text
    .replace(uuids, '<uuid>')
    .replace(/"created":\d{6,}/g, '"created":0')
    .replace(/"(\w+_ms)":[\d.e+-]+/g, '"$1":0')
    .replaceAll(instance, '1');

/** Events of two prompts come in any order. */
const inOrder = (body: string): unknown => (body.startsWith('data: ') ? body.split('\n\n').toSorted() : body);

/** What the captures leave out: every tokenized request has these. */
const everywhere = ['stop_conditions', 'sampling_options', 'output_options', 'eos_token_ids', 'router_config_override', 'model'];

function seen(request: unknown, instance: string): unknown {
  const text = JSON.stringify(request, (_key, value: unknown) => (typeof value === 'bigint' ? `int ${value}` : value)).replaceAll(instance, '<I>');
  const made = JSON.parse(text);
  if (made === null || typeof made !== 'object') return made;
  delete made.mdc_sum;
  if ('stop_conditions' in made) for (const name of everywhere) delete made[name];
  return made;
}

/** Rows that differ on purpose, by name of what differs. */
const known: readonly { why: string; matches: (row: Row) => boolean }[] = [
  {
    why: 'a whole float is an integer once it has been read',
    matches: ([, , , script]) =>
      JSON.stringify(script)?.includes('1.5e-6},{"index":1,"score":1') === true ||
      JSON.stringify(script)?.includes('0.0000015},{"index":1,') === true,
  },
  {
    why: 'NUL characters go before encoding, in embeddings too',
    matches: ([, , body]) => body?.includes('\\u0000a') === true || body?.includes('a\\u0000b') === true,
  },
  { why: 'no speculative prefill yet', matches: ([, , body]) => body?.includes('speculative_prefill') === true },
];

test.each(lines.map((line, index) => [`${index} ${line.slice(0, 110)}`, line] as const))('%s', async (_name, line) => {
  const instance = String(runtime.discovery.instanceId);
  const row = decodeJson(line.replaceAll('<I>', instance)) as Row;
  if (known.some(({ matches }) => matches(row))) return;
  const [route, headers, body, script, status, expected, text, received] = row;
  const [method = '', path = ''] = route.split(' ');
  for (const [name, worker] of workers) {
    worker.script = script ?? answers[name]?.(path) ?? [];
    worker.received.length = 0;
  }
  const response = await fetch(frontend.address + path, {
    method,
    redirect: 'manual',
    headers: { ...(body === null || headers['content-type'] !== undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === null ? {} : { body: Buffer.from(body) }),
  });
  const binary = response.headers.get('content-type') === 'application/octet-stream';
  const bytes = Buffer.from(await response.arrayBuffer());
  const answer = binary ? `base64:${bytes.toString('base64')}` : normal(bytes.toString(), instance);
  const json = response.headers.get('content-type') === 'application/json';
  const wanted = normal(text, instance);
  const shown = (body: string): unknown => (json && body !== '' ? JSON.parse(body) : inOrder(body));
  expect({ status: response.status, answer: shown(answer) }).toEqual({ status, answer: shown(wanted) });
  for (const [name, value] of Object.entries(expected)) expect([name, response.headers.get(name)]).toEqual([name, value]);
  const got = [...workers.values()].flatMap((worker) => worker.received);
  expect(got.map(({ request }) => seen(request, instance))).toEqual(received.map(([request]) => seen(request, instance)));
  for (const [index, [, metadata]] of received.entries()) expect(got[index]?.metadata).toEqual(metadata ?? {});
});
