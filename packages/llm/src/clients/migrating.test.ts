import { readFileSync } from 'node:fs';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson, mem, MemStore } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptedWorker, scriptedWorker, type ScriptStep } from '../testing/scripted-worker.ts';

interface Case {
  name: string;
  first_attempt_script?: ScriptStep[];
  second_attempt_script?: ScriptStep[];
  scripts_each_worker?: ScriptStep[];
  request: Record<string, unknown>;
  status: number;
  body: unknown;
  attempts: { request?: unknown }[];
}
const captured = (decodeJson(readFileSync(new URL('../../../../vectors/llm/http/migration.json', import.meta.url), 'utf8')) as Case[]).filter(
  // The others say what a worker sees of a client that leaves: tested with the routes.
  ({ name }) => !name.startsWith('client_disconnect'),
);

const stack = new AsyncDisposableStack();
let frontend: Frontend;
let workers: ScriptedWorker[];
/** What the next attempts play, whoever gets them. */
let scripts: (readonly ScriptStep[])[] = [];
/** Requests in the order in which they came, by any worker. */
const attempts = (): unknown[] => workers.flatMap(({ received }) => received.map(({ request }) => request));

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  const store = new MemStore();
  const connect = async (): Promise<DistributedRuntime> => stack.use(await DistributedRuntime.connect({ discovery: mem(store) }));
  workers = [];
  for (let index = 0; index < 2; index++) {
    const worker = await scriptedWorker(await connect(), 'mig');
    Object.defineProperty(worker, 'script', { get: () => scripts.shift() ?? [] });
    workers.push(worker);
  }
  frontend = stack.use(
    await new Llm(await connect()).frontend({ http: { host: '127.0.0.1', port: 0 }, migrationLimit: 3, migrationMaxSequence: 60 }),
  );
  await vi.waitFor(() => expect(frontend.models).toEqual(['mig']), 10_000);
});
afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await stack.disposeAsync();
});
beforeEach(() => {
  for (const { received } of workers) received.length = 0;
});

const ask = (request: Record<string, unknown>): Promise<Response> =>
  fetch(`${frontend.address}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(request),
  });

const normal = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '<uuid>')
    .replace(/"created":\d+/g, '"created":0')
    .replace(/"mdc_sum":"[0-9a-f]{64}"/g, '"mdc_sum":"<mdcsum>"');

const plain = (value: unknown): unknown =>
  JSON.parse(normal(JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? Number(item) : item))));

/** Attempts of one request, told apart by how far they have come: captures are ordered by worker. */
const byLength = (requests: readonly unknown[]): unknown[] =>
  requests.map(plain).toSorted((a, b) => (a as { token_ids: [] }).token_ids.length - (b as { token_ids: [] }).token_ids.length);

describe('captured migrations', () => {
  test.each(captured.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const each = row.scripts_each_worker;
    scripts = each === undefined ? [row.first_attempt_script ?? [], row.second_attempt_script ?? []] : [each, each, each, each];
    const response = await ask(row.request);
    const text = normal(await response.text());
    expect(response.status).toBe(row.status);
    if (Array.isArray(row.body)) expect(text.split('\n\n')).toEqual(row.body);
    else expect(JSON.parse(text)).toEqual(row.body);
    expect(byLength(attempts())).toEqual(byLength(row.attempts.flatMap((attempt) => attempt.request ?? [])));
  });
});

const request = { model: 'mig', messages: [{ role: 'user', content: 'hi' }], max_tokens: 20 };
const lost: readonly ScriptStep[] = [{ _text: 'abc' }, { _raise: 'EngineShutdown', msg: 'dying' }];

describe('what is not moved ends with its error', () => {
  test.each([
    ['several answers at once', { n: 2 }],
    ['a constrained answer', { guided_regex: 'a+' }],
    ['a request that is longer than the limit', { messages: [{ role: 'user', content: 'x'.repeat(60) }] }],
  ])('%s', async (_name, more) => {
    scripts = [lost, [{ _text: 'DEF' }]];
    const response = await ask({ ...request, ...more });
    expect([response.status, attempts().length]).toEqual([503, 1]);
  });
});

test('a move before the first token sends the request as it was, and the counts tell the two kinds apart', async () => {
  scripts = [[{ _raise: 'EngineShutdown', msg: 'dying' }], [{ _text: 'ok' }, { token_ids: [], finish_reason: 'stop' }]];
  const response = await ask(request);
  expect(response.status).toBe(200);
  const [first, second] = attempts();
  expect(plain(first)).toEqual(plain(second));
  const text = await (await fetch(`${frontend.address}/metrics`)).text();
  expect(text).toMatch(/dynamo_frontend_model_migration_total\{migration_type="new_request",model="mig"\} 1\n/);
  expect(text).toMatch(/dynamo_frontend_model_migration_total\{migration_type="ongoing_request",model="mig"\} [1-9]/);
  expect(text).toMatch(/model_migration_duration_seconds_count\{migration_type="new_request",model="mig",outcome="success"\} 1\n/);
  expect(text).toMatch(/model_migration_duration_seconds_count\{migration_type="ongoing_request",model="mig",outcome="success"\} [1-9]/);
  expect(text).toMatch(/dynamo_frontend_stage_duration_seconds_count\{stage="transport_roundtrip"\} [1-9]/);
  expect(text).toContain('dynamo_frontend_stage_requests{phase="aggregated",stage="dispatch"} 0\n');
  expect(text).toMatch(/dynamo_frontend_detokenize_token_count [1-9]/);
  expect(text).toContain('dynamo_frontend_model_migration_limit{model="mig"} 3\n');
});

test("a later worker's own counts are told as those of the whole request", async () => {
  const usage = { prompt_tokens: 24, completion_tokens: 3, total_tokens: 27, prompt_tokens_details: { cached_tokens: 16 } };
  scripts = [lost, [{ _text: 'DEF' }, { token_ids: [], finish_reason: 'stop', completion_usage: usage }]];
  const body = (await (await ask(request)).json()) as { usage: unknown };
  expect(body.usage).toMatchObject({ prompt_tokens: 21, completion_tokens: 6, total_tokens: 27 });
});
