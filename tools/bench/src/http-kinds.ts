import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Llm, type TokenRequest } from '@dynamo/llm';
import { DistributedRuntime } from '@dynamo/runtime';
import { Agent, request } from 'undici';

const json = { 'content-type': 'application/json' };
const bearer = (key: string): Record<string, string> => ({ ...json, authorization: `Bearer ${key}` });
const chat = (model: string, more: object = {}): string => JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }], ...more });

/** One kind of request: how it is made, and the statuses that it may end in; 0 for a client that does not wait. */
interface Kind {
  readonly name: string;
  readonly statuses: readonly number[];
  readonly send: (place: { readonly address: string; readonly agent: Agent }) => Promise<number>;
}

const post =
  (path: string, body: string, headers: Record<string, string> = bearer('free')): Kind['send'] =>
  async ({ address, agent }) => {
    const answer = await request(address + path, { method: 'POST', headers, body, dispatcher: agent });
    await answer.body.text();
    return answer.statusCode;
  };

const get =
  (path: string, headers: Record<string, string> = bearer('free')): Kind['send'] =>
  async ({ address, agent }) => {
    const answer = await request(address + path, { headers, dispatcher: agent });
    await answer.body.text();
    return answer.statusCode;
  };

/** A client that leaves in the midst of its answer. */
const leave: Kind['send'] = async ({ address, agent }) => {
  const answer = await request(`${address}/v1/chat/completions`, {
    method: 'POST',
    headers: bearer('free'),
    body: chat('tiny', { stream: true, max_tokens: 64 }),
    dispatcher: agent,
  });
  answer.body.on('error', () => {});
  answer.body.destroy();
  return 0;
};

/** A client that speaks no HTTP, or goes away in the midst of its request. */
const raw =
  (text: string): Kind['send'] =>
  async ({ address }) => {
    const socket = connect(Number(new URL(address).port), '127.0.0.1');
    socket.on('error', () => {}).resume();
    await once(socket, 'connect');
    socket.write(text);
    await sleep(5);
    socket.destroy();
    return 0;
  };

const half = `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer free\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{`;

/** Overload is an answer of its own: the limits are low on purpose. */
const ok = [200, 529];

const kinds: readonly Kind[] = [
  { name: 'chat', statuses: ok, send: post('/v1/chat/completions', chat('tiny')) },
  { name: 'chat stream', statuses: ok, send: post('/v1/chat/completions', chat('tiny', { stream: true })) },
  { name: 'chat usage', statuses: ok, send: post('/v1/chat/completions', chat('tiny', { stream: true, stream_options: { include_usage: true } })) },
  { name: 'completion', statuses: ok, send: post('/v1/completions', JSON.stringify({ model: 'tiny', prompt: 'hello' })) },
  { name: 'batch', statuses: ok, send: post('/v1/completions', JSON.stringify({ model: 'tiny', prompt: ['a', 'b', 'c'] })) },
  { name: 'tokens', statuses: ok, send: post('/v1/completions', JSON.stringify({ model: 'tiny', prompt: [104, 105] })) },
  { name: 'embeddings', statuses: ok, send: post('/v1/embeddings', JSON.stringify({ model: 'emb', input: ['a', 'b'] })) },
  { name: 'rerank', statuses: ok, send: post('/v1/rerank', JSON.stringify({ model: 'order', query: 'a', documents: ['a', 'b'] })) },
  { name: 'failing worker', statuses: [500, 529], send: post('/v1/chat/completions', chat('broken')) },
  { name: 'failing stream', statuses: ok, send: post('/v1/chat/completions', chat('broken', { stream: true })) },
  { name: 'silent worker', statuses: [504, 529], send: post('/v1/chat/completions', chat('mute')) },
  { name: 'wrong value', statuses: [400, 529], send: post('/v1/chat/completions', chat('tiny', { temperature: 9 })) },
  { name: 'half a JSON', statuses: [400, 529], send: post('/v1/chat/completions', '{"model": ') },
  { name: 'no model', statuses: [404, 529], send: post('/v1/chat/completions', chat('nobody')) },
  { name: 'wrong type', statuses: [415], send: post('/v1/chat/completions', 'x', { ...bearer('free'), 'content-type': 'text/plain' }) },
  { name: 'too large', statuses: [413], send: post('/v1/chat/completions', 'x'.repeat(1_100_000)) },
  { name: 'no route', statuses: [404], send: get('/nothing') },
  { name: 'no key', statuses: [401], send: post('/v1/chat/completions', chat('tiny'), json) },
  { name: 'wrong key', statuses: [401], send: post('/v1/chat/completions', chat('tiny'), bearer('nobody')) },
  { name: 'wrong model', statuses: [403, 529], send: post('/v1/chat/completions', chat('tiny'), bearer('other')) },
  { name: 'over its limit', statuses: [200, 429, 529], send: post('/v1/chat/completions', chat('tiny'), bearer('few')) },
  { name: 'models', statuses: [200], send: get('/v1/models') },
  { name: 'health', statuses: [200], send: get('/health', {}) },
  { name: 'metrics', statuses: [200], send: get('/metrics') },
  { name: 'threshold', statuses: [200], send: post('/busy_threshold', JSON.stringify({ model: 'tiny', active_decode_blocks_threshold: 1 })) },
  { name: 'client leaves', statuses: [0], send: leave },
  { name: 'half a body', statuses: [0], send: raw(half) },
  { name: 'no HTTP', statuses: [0], send: raw('hello\r\n\r\n') },
];

/** How much of the whole a kind is, where not all of it: each takes long, or a port of its own. */
const rare: Readonly<Record<string, number>> = { 'silent worker': 20, 'too large': 20, 'half a body': 4, 'no HTTP': 4, metrics: 4 };

/**
 * Sends requests of every kind, good and bad, and reports the heap after each tenth, behind a forced collection.
 *
 * Needs `NODE_OPTIONS=--expose-gc`. Any status that a kind may not end in ends the run.
 */
export async function httpKinds(options: { model: string; requests: number }): Promise<void> {
  const collectGarbage = globalThis.gc;
  if (collectGarbage === undefined) throw new Error('run with NODE_OPTIONS=--expose-gc');
  process.env['DYN_RUNTIME_INHIBITED_DURATION_SECS'] = '0';
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-kinds-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const keysPath = join(folder, 'keys');
  await writeFile(keysPath, keyLines());
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: 'mem' }));
  const llm = new Llm(runtime);
  await serveAll(llm, options.model);
  const limits = { concurrent: 12, queued: 2, idleMs: 1_000 };
  const access = { keysPath, admin: 'open' as const };
  const frontend = stack.use(await llm.frontend({ http: { host: '127.0.0.1', port: 0 }, bodyLimitMb: 1, limits, access }));
  while (frontend.models.length < 5) await sleep(20);
  const place = { address: frontend.address, agent: new Agent({ connections: 16 }) };
  const counts = new Map<string, number>();
  let sent = 0;
  const lane = async (until: number): Promise<void> => {
    while (sent < until) {
      const number = sent++;
      const kind = kinds[number % kinds.length] as Kind;
      const chosen = Math.floor(number / kinds.length) % (rare[kind.name] ?? 1) === 0 ? kind : (kinds[number % 8] as Kind);
      const status = await chosen.send(place);
      if (!chosen.statuses.includes(status)) throw new Error(`${chosen.name} ended in ${status}`);
      counts.set(`${chosen.name} ${status}`, (counts.get(`${chosen.name} ${status}`) ?? 0) + 1);
    }
  };
  const started = performance.now();
  for (let part = 1; part <= 10; part++) {
    const until = Math.round((options.requests * part) / 10);
    await Promise.all(Array.from({ length: 16 }, () => lane(until)));
    await sleep(500);
    await collectGarbage({ execution: 'async', type: 'major' });
    const { heapUsed, rss, external } = process.memoryUsage();
    const mb = (bytes: number): string => (bytes / 1e6).toFixed(1);
    console.log(`${sent} requests: heap ${mb(heapUsed)} MB, external ${mb(external)} MB, rss ${mb(rss)} MB`);
  }
  console.log(`${Math.round((performance.now() - started) / 1_000)} s; ${[...counts].map(([name, count]) => `${name}: ${count}`).join(', ')}`);
  await place.agent.close();
}

/** Keys that are their owners' names: good for a bench and for nothing else. */
const keyLines = (): string =>
  [{ id: 'free' }, { id: 'other', models: ['emb'] }, { id: 'few', requestsPerMinute: 60 }]
    .map((entry) => JSON.stringify({ ...entry, sha256: createHash('sha256').update(entry.id).digest('hex') }))
    .join('\n');

async function serveAll(llm: Llm, model: string): Promise<void> {
  await llm.serve({
    endpoint: 'kinds.tiny.generate',
    model,
    name: 'tiny',
    engine: async function* (asked: TokenRequest) {
      for (let i = 0; i < Math.min(asked.stop?.maxTokens ?? 16, 64); i++) yield { tokenIds: [104] };
      yield { tokenIds: [], finishReason: 'stop' };
    },
  });
  await llm.serve({
    endpoint: 'kinds.broken.generate',
    model,
    name: 'broken',
    engine: async function* () {
      yield { tokenIds: [104] };
      throw new Error('broken on purpose');
    },
  });
  await llm.serve({
    endpoint: 'kinds.mute.generate',
    model,
    name: 'mute',
    engine: async function* (_asked: unknown, { signal }: { signal: AbortSignal }) {
      await sleep(60_000, undefined, { signal }).catch(() => undefined);
      yield { tokenIds: [] };
    },
  });
  await llm.serve({
    endpoint: 'kinds.emb.generate',
    model,
    name: 'emb',
    surfaces: ['embedding'],
    engine: async function* ({ token_ids: ids }: { token_ids: number[][] }) {
      yield { embeddings: ids.map(() => Buffer.from(new Float32Array([1, 2]).buffer).toString('base64')), prompt_tokens: 2, total_tokens: 2 };
    },
  });
  await llm.serve({
    endpoint: 'kinds.order.generate',
    model,
    name: 'order',
    input: 'text',
    surfaces: ['rerank'],
    engine: async function* () {
      yield [{ index: 0, score: 1 }];
    },
  });
}
