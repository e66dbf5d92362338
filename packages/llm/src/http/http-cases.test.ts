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
  {
    reason: 'embeddings, rerank, classify, pooling',
    matches: ({ request: { path } }) => /^\/v1\/(embeddings|rerank|classify|pooling)|^\/rerank/.test(path),
  },
  {
    reason: 'Responses and Anthropic messages',
    matches: ({ name, request: { path } }) => /^\/v1\/(responses|messages)/.test(path) || name === 'anth_models',
  },
  { reason: 'images, video, audio', matches: ({ request: { path } }) => /^\/v1\/(images|videos|audio)/.test(path) },
  { reason: 'realtime', matches: ({ request: { path } }) => path.startsWith('/v1/realtime') },
  { reason: 'busy threshold', matches: ({ request: { path } }) => path === '/busy_threshold' },
  { reason: 'openapi and docs', matches: ({ request: { path } }) => path.startsWith('/openapi') || path.startsWith('/docs') },
  {
    reason: 'the list of the fleet of the captures: tested on an own fleet below',
    matches: ({ request: { path } }) => path === '/health' || path === '/v1/models',
  },
  { reason: 'text-input models', matches: ({ model }) => model === 'text' },
  { reason: 'tool and reasoning parsers', matches: ({ model }) => model === 'both' },
  {
    reason: 'media parts in messages',
    matches: ({ name }) => ['image_url_http', 'image_url_data', 'video_audio_url', 'input_audio', 'image_uuid', 'mm_processor_kwargs'].includes(name),
  },
  { reason: 'routing hints and session headers', matches: ({ name }) => ['hdr_routing', 'hdr_session', 'routing_pin'].includes(name) },
  { reason: 'needs the real mocker: test/interop', matches: ({ name }) => name.startsWith('mocker_') },
  { reason: 'needs embedding or tensor models in the fleet', matches: ({ name }) => ['chat_on_emb', 'chat_on_tensor'].includes(name) },
];

const reasonOf = (row: Case): string | undefined => later.find(({ matches }) => matches(row))?.reason;

let runtime: DistributedRuntime;
let frontend: Frontend;
const workers = new Map<string, ScriptedWorker>();

beforeAll(async () => {
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  runtime = await DistributedRuntime.connect({ discovery: 'mem' });
  workers.set('tok', await scriptedWorker(runtime, 'tok', { contextLength: 512, aliases: ['tok-alias'] }));
  workers.set('chatonly', await scriptedWorker(runtime, 'chatonly', { surfaces: ['chat'] }));
  workers.set('componly', await scriptedWorker(runtime, 'componly', { surfaces: ['completions'] }));
  frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0 } });
  await vi.waitFor(() => expect(frontend.models.toSorted()).toEqual(['chatonly', 'componly', 'tok', 'tok-alias']), 10_000);
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
    .replace(/"(created|created_at)":\d+/g, '"$1":0')
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

test('later capabilities account for the rest of the captures', () => {
  const counts = new Map<string, number>();
  for (const row of cases) {
    const reason = reasonOf(row) ?? 'here';
    counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  expect(counts.get('here')).toBe(open.length);
  expect(open.length).toBeGreaterThan(280);
});
