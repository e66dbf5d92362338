import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';
import { askRow, readRows } from './testing/captured-rows.ts';

const rows = readRows('./responses-1.6.1.ndjson');

let runtime: DistributedRuntime;
let frontend: Frontend;
const workers = new Map<string, ScriptedWorker>();

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  workers.set('tok', await scriptedWorker(runtime, 'tok', { contextLength: 512 }));
  workers.set('both', await scriptedWorker(runtime, 'both', { parsers: { tools: 'hermes', reasoning: 'qwen3' } }));
  workers.set('text', await scriptedWorker(runtime, 'text', { input: 'text' }));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0, responses: { store: 'none' } } });
  await vi.waitFor(() => expect(frontend.models).toHaveLength(3), 10_000);
});

afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** Where the frontend answers otherwise, and why (docs/decisions/2026-11-25-responses-that-are-kept.md). */
const otherwise: Readonly<Record<string, string>> = {
  choice_call_fn: 'a call of another function than the one that was forced is told of, not dropped',
  raise1_HttpError: 'a status that a worker raises behind its first chunk is told as in chats',
  ferror_s: 'an answer that ends in an error of the engine has no usage',
  item_imageurl: 'media parts come with media',
  item_imagenodetail: 'media parts come with media',
  item_fcoimg: 'media parts come with media',
};
for (const [name, reason] of Object.entries(otherwise)) test.skip(`${name}: ${reason}`);

const held = rows.filter(([name]) => otherwise[name] === undefined);
test.each(held.map((row) => [row[0], row] as const))('%s', async (_name, row) => {
  const { ours, theirs } = await askRow(frontend.address, workers.get(row[1]) as ScriptedWorker, row);
  expect(ours).toEqual(theirs);
});
