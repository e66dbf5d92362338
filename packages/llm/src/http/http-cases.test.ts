import { readFileSync } from 'node:fs';
import { DistributedRuntime } from '@dynamo/runtime';
import { decodeJson } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Frontend } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { type ScriptStep, scriptedWorker, type ScriptedWorker } from '../testing/scripted-worker.ts';

interface Case {
  name: string;
  model?: string;
  request: { method: string; path: string; headers?: Record<string, string>; body?: unknown; raw?: string };
  worker_script?: ScriptStep[];
  status: number;
  headers: Record<string, string>;
  body_json?: unknown;
  body_text?: string;
  sse?: string[];
  worker_received: { request?: unknown; metadata?: Record<string, string>; event?: string }[];
}

const cases = decodeJson(readFileSync(new URL('../../../../vectors/llm/http/http.json', import.meta.url), 'utf8')) as Case[];

/** Cases of routes, model kinds and features that later capabilities bring, by what brings them. */
const later: readonly { reason: string; matches: (row: Case) => boolean }[] = [
  { reason: 'images, video, audio', matches: ({ request: { path } }) => /^\/v1\/(images|videos|audio)/.test(path) },
  {
    reason: 'lists the fleet of the captures, and describes it in the words of the real one: tested below',
    matches: ({ name }) =>
      [
        'GET /health',
        'HEAD /health',
        'GET /v1/models',
        'GET /busy_threshold',
        'busy_get2',
        'GET /openapi.json',
        'GET /docs/',
        'anth_models',
      ].includes(name),
  },
  { reason: 'needs the real mocker: test/interop', matches: ({ name }) => name.startsWith('mocker_') },
];

const reasonOf = (row: Case): string | undefined => later.find(({ matches }) => matches(row))?.reason;

let runtime: DistributedRuntime;
let frontend: Frontend;
const workers = new Map<string, ScriptedWorker>();

const fleet: Readonly<Record<string, Parameters<typeof scriptedWorker>[2]>> = {
  tok: { contextLength: 512, aliases: ['tok-alias'] },
  chatonly: { surfaces: ['chat'] },
  componly: { surfaces: ['completions'] },
  both: { parsers: { tools: 'hermes', reasoning: 'qwen3' } },
  text: { input: 'text' },
  emb: { surfaces: ['embedding'] },
  embtext: { input: 'text', surfaces: ['embedding'] },
  cls: { input: 'text', surfaces: ['classify', 'pooling'] },
  rer: { input: 'text', surfaces: ['rerank'] },
  // What this version does not serve is listed all the same.
  img: { raw: { model_type: 'Images', model_input: 'Text', model_info: null, tokenizer: null, context_length: 0, kv_cache_block_size: 0 } },
  tensor: { raw: { model_type: 'TensorBased', model_input: 'Tensor', model_info: null, tokenizer: null, context_length: 0, kv_cache_block_size: 0 } },
};
const names = [...Object.keys(fleet), 'tok-alias'];

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  for (const [name, card] of Object.entries(fleet)) workers.set(name, await scriptedWorker(runtime, name, card));
  frontend = await new Llm(runtime).frontend({
    http: { host: '127.0.0.1', port: 0, responses: { store: 'none' }, messages: { enabled: true } },
    access: { admin: 'open' },
  });
  await vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(names.toSorted()), 10_000);
});

afterAll(async () => {
  delete process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'];
  await frontend[Symbol.asyncDispose]();
  await runtime[Symbol.asyncDispose]();
});

/** Takes out what differs from run to run, as the captures did (vectors/llm/README.md). */
const normal = (text: string): string =>
  text
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\b(resp|msg|fc|rs|toolu)_[0-9a-f]{32}/g, '$1_<hex32>')
    .replace(/"(created|created_at|completed_at)":\d{6,}/g, '"$1":0')
    .replace(/"(\w+_ms)":[\d.e+-]+/g, '"$1":0')
    .replace(/"(\w*worker_id)":\d+/g, '"$1":1')
    .replace(/"mdc_sum":"[0-9a-f]{64}"/g, '"mdc_sum":"<mdcsum>"');

/** JSON with the spaces that the captures' client wrote: messages tell columns. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([name, member]) => `${JSON.stringify(name)}: ${pythonJson(member)}`)
    .join(', ')}}`;
}

async function ask(row: Case): Promise<Response> {
  const { method, path, headers, body, raw } = row.request;
  const sent = raw ?? (body === undefined ? undefined : pythonJson(body));
  return fetch(frontend.address + path, {
    method,
    redirect: 'manual',
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    // Bytes, so that fetch adds no content type of its own.
    ...(sent === undefined ? {} : { body: Buffer.from(sent) }),
  });
}

/** Batches of prompts run side by side: the order of their events is free. */
const unordered = (row: Case): boolean => row.name === 'comp_batch_stream';

const open = cases.filter((row) => reasonOf(row) === undefined);

describe('captured exchanges', () => {
  test.each(open.map((row) => [row.name, row] as const))('%s', async (_name, row) => {
    const worker = workers.get(row.model ?? 'tok');
    if (worker !== undefined) {
      worker.script = row.worker_script ?? [];
      worker.received.length = 0;
    }
    const response = await ask(row);
    const text = await response.text();
    expect({ status: response.status, text: response.status === row.status ? '' : text }).toEqual({ status: row.status, text: '' });
    for (const name of ['content-type', 'x-request-id', 'allow', 'location']) {
      if (row.headers[name] !== undefined) expect(normal(response.headers.get(name) ?? '')).toBe(row.headers[name]);
    }
    if (row.sse !== undefined) {
      const events = normal(text).split('\n\n').filter(Boolean);
      expect(unordered(row) ? events.toSorted() : events).toEqual(unordered(row) ? row.sse.toSorted() : row.sse);
    } else if (row.body_json !== undefined) expect(sorted(JSON.parse(normal(text)))).toEqual(sorted(row.body_json));
    else if (row.body_text !== undefined) expect(text).toBe(row.body_text);
    const requests = row.worker_received.filter(({ request }) => request !== undefined);
    if (row.model === undefined || worker === undefined) return;
    expect(worker.received.map(({ request }) => wire(request))).toEqual(requests.map(({ request }) => wire(request)));
    for (const [index, { metadata }] of requests.entries()) if (metadata !== undefined) expect(worker.received[index]?.metadata).toEqual(metadata);
  });
});

/** The names of unsupported parameters come in no order. */
function sorted(body: any): any {
  const list = typeof body?.message === 'string' ? /^(Validation: Unsupported parameter\(s\): )(.*)$/.exec(body.message) : null;
  return list === null ? body : { ...body, message: `${list[1]}${(list[2] ?? '').split(', ').toSorted().join(', ')}` };
}

const wire = (request: unknown): unknown =>
  JSON.parse(normal(JSON.stringify(request, (_key, value) => (typeof value === 'bigint' ? Number(value) : value))));

test.each(['images/generations', 'images/edits', 'videos', 'videos/stream', 'audio/speech'])(
  '/v1/%s says that it is not served, or is not there',
  async (path) => {
    const response = await fetch(`${frontend.address}/v1/${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
    // Only pictures have a model here.
    if (!path.startsWith('images')) expect([response.status, await response.text()]).toEqual([404, '']);
    else
      expect(await response.json()).toEqual({
        message: 'Images are not served here: this frontend answers text routes only',
        type: 'Not Implemented',
        code: 501,
      });
  },
);

test('later capabilities account for the rest of the captures', () => {
  const counts = new Map<string, number>();
  for (const row of cases) {
    const reason = reasonOf(row) ?? 'here';
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  expect(counts.get('here')).toBe(open.length);
  expect(open.length).toBeGreaterThan(310);
});

const get = async (path: string): Promise<any> => (await fetch(frontend.address + path)).json();
const captured = (name: string): any => cases.find((row) => row.name === name)?.body_json;
const sameKeys = (one: object, other: object): void => expect(Object.keys(one)).toEqual(Object.keys(other));

test('the fleet is listed with every kind of model, as the real one lists its own', async () => {
  const { data, ...list } = await get('/v1/models');
  expect(list).toEqual({ object: 'list' });
  expect(data.map(({ id }: { id: string }) => id).toSorted()).toEqual(names.toSorted());
  for (const row of data) {
    sameKeys(row, captured('GET /v1/models').data[0]);
    const theirs = captured('GET /v1/models').data.find(({ id }: { id: string }) => id === row.id);
    expect({ ...row, created: 0 }).toEqual(theirs);
  }
  expect((await get('/v1/models/emb/ready')).namespaces.h3.present).toEqual(['aggregated']);
});

test('health shows every endpoint and instance, in the same form', async () => {
  const { endpoints, instances, ...rest } = await get('/health');
  expect(rest).toEqual({ status: 'healthy' });
  expect(endpoints).toEqual(
    Object.keys(fleet)
      .map((name) => `dyn://h3.backend.${name}`)
      .toSorted(),
  );
  expect(instances.map(({ endpoint }: { endpoint: string }) => endpoint).toSorted()).toEqual(Object.keys(fleet).toSorted());
  for (const row of instances) expect(Object.keys(row).toSorted()).toEqual(Object.keys(captured('GET /health').instances[0]).toSorted());
  const head = await fetch(`${frontend.address}/health`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, 'application/json', '']);
});

test('busy thresholds are listed for every model whose load is looked at, aliases with the value of their model', async () => {
  const { thresholds } = await get('/busy_threshold');
  // Not token embeddings and tensors, as there.
  const theirs = captured('busy_get2').thresholds as { model: string }[];
  const ours = thresholds as { model: string }[];
  expect(ours.map(({ model }) => model).toSorted()).toEqual(names.filter((name) => theirs.some(({ model }) => model === name)).toSorted());
  for (const row of ours) expect(row).toEqual(theirs.find(({ model }) => model === row.model));
});

test('the OpenAPI document describes the routes that are there, under the ids and statuses of the real one', async () => {
  const document = await get('/openapi.json');
  const theirs = captured('GET /openapi.json');
  sameKeys(document.info, { title: '', description: '', version: '' });
  for (const [path, methods] of Object.entries<any>(document.paths)) {
    for (const [method, operation] of Object.entries<any>(methods)) {
      const real = theirs.paths[path]?.[method];
      expect([path, operation.operationId, Object.keys(operation.responses), operation.requestBody !== undefined]).toEqual([
        path,
        real?.operationId,
        Object.keys(real?.responses ?? {}),
        real?.requestBody !== undefined,
      ]);
    }
  }
  const missing = Object.keys(theirs.paths).filter((path) => document.paths[path] === undefined);
  expect(missing.filter((path) => !/^\/v1\/(audio|images|messages|videos)/.test(path))).toEqual([]);
  const page = await fetch(`${frontend.address}/docs/`);
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html']);
  expect(await page.text()).toContain('/openapi.json');
});
