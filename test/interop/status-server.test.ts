import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime, type Handler } from '@dynamo/runtime';
import { describe, expect, test } from 'vitest';
import { findPython, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

interface Asked {
  readonly method?: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string | Buffer;
}

/** What came back, without what differs from one moment to the next. */
interface Answered {
  readonly status: number | undefined;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

async function ask(port: number, { method = 'GET', path, type, body }: Asked): Promise<Answered> {
  const headers = type === undefined ? {} : { 'content-type': type };
  const asking = request({ host: '127.0.0.1', port, method, path, headers, agent: false });
  asking.end(body);
  const [response] = (await once(asking, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response as AsyncIterable<string>) text += chunk;
  const { date: _date, connection: _connection, 'content-length': length, ...rest } = response.headers;
  const settled = text
    .replace(/"uptime":\{"secs":\d+,"nanos":\d+\}/, '"uptime":{}')
    .replace('Python callback failed: ValueError: ', '')
    .replace('"Error: route', '"route')
    .replace(/"endpoints":\{([^}]*)\}/, (_whole, list: string) => `"endpoints":{${list.split(',').sort().join(',')}}`);
  if (method !== 'HEAD') expect(Number(length)).toBe(Buffer.byteLength(text));
  return { status: response.statusCode, headers: rest, body: settled };
}

const generate: Handler<{ op?: string }, unknown> = async function* (asked, { signal }) {
  if (asked.op === 'fail') throw new TypeError('bad');
  if (asked.op === 'hang') await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  else if (asked.op !== 'none') yield { ok: asked };
};

const lora: Handler<{ lora_name?: string }, unknown> = async function* ({ lora_name: name }) {
  if (name === 'silent') return;
  if (name === 'refused') yield { status: 'error', message: 'not today' };
  else if (name === 'bare') yield { lora_id: 'text', more: 1 };
  else {
    yield {
      status: 'success',
      message: 'done',
      ...(name === undefined ? {} : { lora_name: name }),
      lora_id: 2n ** 63n + 1n,
      loras: { a: 1 },
      count: 1,
      extra: true,
    };
    yield { second: 1 };
  }
};

/** A free port that the real system takes: it reads DYN_SYSTEM_PORT as 16 bits with a sign. */
async function lowPort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await Promise.race([once(server, 'listening').then(() => true), once(server, 'error').then(() => false)]).catch(() => false);
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Runs a real worker and ours with the same variables, each with a status server. */
async function both(variables: Record<string, string>) {
  await using undo = new AsyncDisposableStack();
  const { env } = undo.use(await scene());
  const [real, ours] = [await lowPort(), await lowPort()];
  const all: Record<string, string> = { ...env, DYN_SYSTEM_HOST: '127.0.0.1', ...variables };
  undo.use(startPeer(python, 'py_status.py', { args: [], env: { ...all, DYN_SYSTEM_PORT: String(real) } }));
  const before = { ...process.env };
  Object.assign(process.env, all, { DYN_SYSTEM_PORT: String(ours) });
  try {
    const runtime = undo.use(await DistributedRuntime.connect({ discovery: 'file' }));
    const payload = variables['HEALTH_PAYLOAD'];
    await runtime.serve('demo.ours.generate', generate, payload === undefined ? {} : { healthCheck: JSON.parse(payload) as unknown });
    if (variables['LORA'] !== undefined)
      for (const name of ['list_loras', 'load_lora', 'unload_lora']) await runtime.serve(`demo.ours.${name}`, lora);
    const route = async (body: unknown): Promise<unknown> => {
      if ((body as { fail?: boolean } | null)?.fail === true) throw new Error('route failed');
      return { status: 'ok', body };
    };
    for (const name of ['demo_route', 'deep/er']) runtime.route(name, route);
    if (variables['READY'] !== undefined) runtime.setReady(true);
  } finally {
    process.env = before;
  }
  const health = { path: variables['DYN_SYSTEM_HEALTH_PATH'] ?? '/health' };
  const up = (): Promise<boolean> =>
    ask(real, health).then(
      ({ body }) => body.includes('generate'),
      () => false,
    );
  await expect.poll(up, { timeout: 30_000, interval: 200 }).toBe(true);
  const life = undo.move();
  return {
    ours: (asked: Asked) => ask(ours, asked),
    real: (asked: Asked) => ask(real, asked),
    async compare(cases: readonly Asked[]): Promise<void> {
      for (const asked of cases)
        expect(await ask(ours, asked), `${asked.method ?? 'GET'} ${asked.path} ${String(asked.body ?? '').slice(0, 80)}`).toEqual(
          await ask(real, asked),
        );
    },
    [Symbol.asyncDispose]: () => life.disposeAsync(),
  };
}

const posts = (path: string, bodies: readonly (string | Buffer)[], type?: string): Asked[] =>
  bodies.map((body) => ({ method: 'POST', path, body, ...(type === undefined ? {} : { type }) }));

describe.skipIf('missing' in found)('the status server answers as that of a real worker, byte for byte', () => {
  test('health, live, metadata, unknown paths, wrong methods', async () => {
    await using servers = await both({});
    await servers.compare([
      ...['/health', '/live', '/health?x=1', '/metadata', '/nothing', '/', '/health/', '//health', '/v1/loras', '/v1/metadata/a'].map((path) => ({
        path,
      })),
      ...['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'].flatMap((method) =>
        ['/health', '/live', '/metrics', '/metadata'].map((path) => ({ method, path })),
      ),
      ...['/health', '/metrics', '/metadata', '/nothing'].map((path) => ({ method: 'HEAD', path })),
      { method: 'POST', path: '/nothing', body: 'x' },
    ]);
    expect((await servers.ours({ path: '/metrics' })).headers).toEqual((await servers.real({ path: '/metrics' })).headers);
  });

  test('a word of its own, other paths, a start that is ready', async () => {
    for (const variables of [
      { READY: '1' },
      { DYN_SYSTEM_STARTING_HEALTH_STATUS: 'ready' },
      { DYN_SYSTEM_HEALTH_PATH: '/h', DYN_SYSTEM_LIVE_PATH: '/l/x', DYN_SYSTEM_STARTING_HEALTH_STATUS: 'ready' },
      { DYN_HEALTH_CHECK_ENABLED: 'true' },
      { HEALTH_PAYLOAD: '{"op":"fail"}' },
    ]) {
      await using servers = await both(variables);
      await servers.compare(['/health', '/live', '/h', '/l/x'].map((path) => ({ path })));
    }
  });

  test('engine routes: methods, paths, bodies that are JSON and such that are not', async () => {
    await using servers = await both({});
    await servers.compare([
      ...['GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'PURGE'].map((method) => ({ method, path: '/engine/demo_route' })),
      ...[
        '/engine/nope',
        '/engine/a/b',
        '/engine/',
        '/engine',
        '/engine/a%20b%2Fc',
        '/engine/%C3%A9%22',
        '/engine/%FF',
        '/engine/%zz%2',
        '/engine/deep/er',
        '/engine/deep%2Fer',
        '/engine/demo_route/',
        '/engine/demo_route?x=1',
        '/engine/../health',
        '/engine//x',
      ].map((path) => ({ path })),
      ...posts('/engine/nope', ['{', '{}']),
      ...posts('/engine/demo_route', [
        '',
        '{"a":1, "b":[1,2.50,-0.25], "u":18446744073709551615, "é":"\\u00e9"}',
        '{"fail":true}',
        '5',
        'null',
        '"x"',
        '{"a":1,"a":2}',
        '{',
        '[1',
        '[1,]',
        '{"a":}',
        '{"a":1,\n "b" 2}',
        '{"a":1}x',
        'nope',
        'tru',
        '01',
        '1e999',
        '"\\q"',
        '"\\ud800"',
        '{"a":"x\ny"}',
        '{a:1}',
        '[1 2]',
        '   ',
        Buffer.from('{"a":"\xff"}', 'latin1'),
      ]),
      ...posts('/engine/demo_route', ['{"a":1}'], 'application/json'),
      ...posts('/engine/demo_route', [`{"a":"${'x'.repeat(2 * 1024 * 1024 - 8)}"}`, `{"a":"${'x'.repeat(2 * 1024 * 1024 - 7)}"}`]),
    ]);
  });

  const load = (body: string): Asked => ({ method: 'POST', path: '/v1/loras', type: 'application/json', body });
  const bad = ['{"lora_name":"x"}', '{"source":{"uri":"u"}}', '{"lora_name":5,"source":{"uri":"u"}}', '{"lora_name":"x","source":{}}'];
  const worse = [
    '{"lora_name":"x","source":"u"}',
    '{"lora_name":null,"source":{"uri":"u"}}',
    '{"lora_name":"x","source":{"uri":1.5}}',
    '{',
    '',
    '5',
    '{"lora_name":{}}',
  ];
  const others = [
    '{"lora_name":"x","lora_name":"y"}',
    '{"lora_name":"x","source":{"uri":"u"}} x',
    '{"lora_name":true}',
    '"text"',
    '{\n"lora_name":[1],"source":1}',
    '[]',
    '["x"]',
    '["x",["u"]]',
    '["x",{"uri":"u"},3]',
    '{"lora_name":-1e3}',
  ];

  test.each(['without a handler', 'with handlers'])('LoRA routes, %s', async (how) => {
    await using servers = await both({ DYN_LORA_ENABLED: 'true', ...(how === 'with handlers' ? { LORA: '1' } : {}) });
    await servers.compare([
      { path: '/v1/loras' },
      { method: 'PUT', path: '/v1/loras' },
      { method: 'DELETE', path: '/v1/loras' },
      { method: 'POST', path: '/v1/loras', body: '{"lora_name":"x","source":{"uri":"u"}}' },
      { method: 'POST', path: '/v1/loras', type: 'text/plain', body: '{' },
      ...['application/json; charset=utf-8', 'application/vnd.x+json', 'application/jsonx'].map((type) => ({
        ...load('{"lora_name":"x","source":{"uri":"u"},"more":1}'),
        type,
      })),
      ...[...bad, ...worse, ...others].map(load),
      ...['x', 'silent', 'refused', 'bare'].map((name) => load(`{"lora_name":"${name}","source":{"uri":"u"}}`)),
      ...['x', 'a/b', 'a%2Fb%20c', 'silent', 'refused', 'bare', '', '%FF'].map((name) => ({ method: 'DELETE', path: `/v1/loras/${name}` })),
      ...['GET', 'POST', 'HEAD'].map((method) => ({ method, path: '/v1/loras/x' })),
    ]);
  });

  test.each([
    ['an answer', '{"op":"x"}', 200],
    ['no answer', '{"op":"none"}', 503],
    ['a failure', '{"op":"fail"}', 503],
    ['silence', '{"op":"hang"}', 503],
  ] as const)('a health check with %s', async (_name, payload, status) => {
    await using servers = await both({
      DYN_HEALTH_CHECK_ENABLED: 'true',
      DYN_CANARY_WAIT_TIME: '1',
      DYN_HEALTH_CHECK_REQUEST_TIMEOUT: '1',
      HEALTH_PAYLOAD: payload,
      DYN_SYSTEM_STARTING_HEALTH_STATUS: 'ready',
    });
    if (status === 200) {
      await expect.poll(async () => (await servers.real({ path: '/health' })).status, { timeout: 20_000 }).toBe(200);
      await expect.poll(async () => (await servers.ours({ path: '/health' })).status, { timeout: 20_000 }).toBe(200);
    } else await sleep(2_500);
    expect((await servers.real({ path: '/health' })).status).toBe(status);
    await servers.compare([{ path: '/health' }, { path: '/live' }]);
  });
});
