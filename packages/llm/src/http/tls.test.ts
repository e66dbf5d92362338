import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { request as requestHttps, type RequestOptions } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { missingOpenssl, openCertificateFolder, type CertificateFolder, type TestPair } from '../../../runtime/src/testing/certificates.ts';
import type { Frontend, FrontendOptions } from '../frontend/frontend.ts';
import { Llm } from '../llm.ts';
import { modalEngine } from '../testing/modal-engine.ts';
import { tinyModel } from '../testing/scripted-worker.ts';

const reason = missingOpenssl();
if (reason !== undefined) console.warn(`TLS tests are skipped: ${reason}`);

describe.skipIf(reason !== undefined)('HTTPS', () => {
  let folder: CertificateFolder;
  let authority: TestPair;
  let server: TestPair;
  let client: TestPair;
  let stranger: TestPair;
  let runtime: DistributedRuntime;
  let garbage: string;

  beforeAll(async () => {
    folder = openCertificateFolder();
    authority = folder.authority('authority');
    server = folder.signed('server', authority);
    client = folder.signed('client', authority);
    stranger = folder.signed('stranger', folder.authority('elsewhere'));
    garbage = join(folder.path, 'garbage.pem');
    writeFileSync(garbage, 'garbage');
    runtime = await DistributedRuntime.connect({ discovery: 'mem' });
    await new Llm(runtime).serve({ endpoint: 'tls.backend.generate', model: tinyModel, name: 'tiny', engine: modalEngine as never });
  });
  afterAll(async () => {
    await runtime[Symbol.asyncDispose]();
    folder[Symbol.dispose]();
  });

  async function open(more: { clientCaPath?: string } = {}, options: FrontendOptions = {}): Promise<Frontend> {
    const tls = { certPath: server.cert, keyPath: server.key, ...more };
    const frontend = await new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0, tls }, ...options });
    await vi.waitFor(() => expect(frontend.models).toEqual(['tiny']), 10_000);
    return frontend;
  }

  const trusting = (pair?: TestPair) => ({
    ca: readFileSync(authority.cert),
    ...(pair === undefined ? {} : { cert: readFileSync(pair.cert), key: readFileSync(pair.key) }),
  });

  const overHttp1 = (url: string, options: RequestOptions & { body?: string } = {}): Promise<{ status: number | undefined; text: string }> =>
    new Promise((resolve, reject) => {
      const { body, ...rest } = options;
      const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), connection: 'close' };
      const sent = requestHttps(url, { ...trusting(), method: body === undefined ? 'GET' : 'POST', headers, ...rest }, (response) => {
        text(response).then((got) => resolve({ status: response.statusCode, text: got }), reject);
      });
      sent.on('error', reject);
      sent.end(body);
    });

  async function dial(frontend: Frontend, pair?: TestPair): Promise<ClientHttp2Session> {
    const session = connectHttp2(frontend.address, trusting(pair));
    session.on('error', () => {});
    await once(session, 'connect');
    return session;
  }

  const overHttp2 = async (
    session: ClientHttp2Session,
    path: string,
    body?: object,
  ): Promise<{ status: unknown; text: string; contentType: unknown }> => {
    const stream = session.request({
      ':path': path,
      ...(body === undefined ? {} : { ':method': 'POST', 'content-type': 'application/json' }),
    });
    stream.end(body === undefined ? undefined : JSON.stringify(body));
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    return { status: headers[':status'], contentType: headers['content-type'], text: await text(stream) };
  };

  const chat = (content: string, more: object = {}): object => ({ model: 'tiny', messages: [{ role: 'user', content }], ...more });

  test('both protocols are served, unary and streamed, many streams on one connection', async () => {
    await using frontend = await open();
    expect(frontend.address).toMatch(/^https:/);
    expect((await overHttp1(`${frontend.address}/live`)).status).toBe(200);
    expect(await overHttp1(`${frontend.address}/v1/chat/completions`, { body: JSON.stringify(chat('hi')) })).toMatchObject({
      status: 200,
      text: expect.stringContaining('"content":"fine"'),
    });
    const session = await dial(frontend);
    expect(await overHttp2(session, '/v1/models')).toMatchObject({ status: 200, contentType: 'application/json' });
    const asks = Array.from({ length: 20 }, (_, index) =>
      overHttp2(session, '/v1/chat/completions', chat(index % 2 === 0 ? 'hi' : 'slowly', { stream: true, stop: ['.'.repeat(20)] })),
    );
    for (const answer of await Promise.all(asks)) {
      expect(answer).toMatchObject({ status: 200, contentType: 'text/event-stream' });
      expect(answer.text.endsWith('data: [DONE]\n\n')).toBe(true);
    }
    expect(await overHttp2(session, '/v1/chat/completions', chat('', { temperature: 9 }))).toMatchObject({ status: 400 });
    expect(await overHttp2(session, '/nothing', {})).toMatchObject({ status: 404 });
    session.close();
  });

  test('a stream that its client resets frees its worker, and a body without an end is refused', async () => {
    await using frontend = await open({}, { limits: { requestMs: 500 } });
    const session = await dial(frontend);
    const stream = session.request({ ':path': '/v1/chat/completions', ':method': 'POST', 'content-type': 'application/json' });
    stream.on('error', () => {});
    stream.end(JSON.stringify(chat('slowly', { stream: true })));
    await once(stream, 'response');
    stream.close(8);
    await expect
      .poll(async () => (await overHttp2(session, '/metrics')).text, { timeout: 10_000 })
      .toMatch(/requests_total\{endpoint="chat_completions",error_type="cancelled",model="tiny",request_type="stream",status="error"\} 1/);
    const silent = session.request({ ':path': '/v1/chat/completions', ':method': 'POST', 'content-type': 'application/json' });
    silent.on('error', () => {});
    silent.write('{');
    const [headers] = (await once(silent, 'response')) as [Record<string, unknown>];
    expect([headers[':status'], await text(silent)]).toEqual([408, expect.stringContaining('DYN_HTTP_REQUEST_TIMEOUT_SECS')]);
    session.close();
  });

  test('a drain ends streams of both protocols in words', async () => {
    const frontend = await open({}, { drainMs: 300 });
    const session = await dial(frontend);
    const first = overHttp2(session, '/v1/chat/completions', chat('slowly', { stream: true }));
    const second = overHttp1(`${frontend.address}/v1/chat/completions`, { body: JSON.stringify(chat('slowly', { stream: true })) });
    await vi.waitFor(async () => expect((await overHttp2(session, '/metrics')).text).toContain('inflight_requests{model="tiny"} 2'), 10_000);
    const closing = frontend[Symbol.asyncDispose]();
    expect(await overHttp2(session, '/health')).toMatchObject({ status: 503, text: expect.stringContaining('draining') });
    for (const answer of [await first, await second]) expect(answer.text).toMatch(/The frontend shuts down.*data: \[DONE\]\n\n$/s);
    await closing;
    expect(session.closed || session.destroyed).toBe(true);
  });

  test('plain HTTP to the port gets no answer, and others are served on', async () => {
    await using frontend = await open();
    const socket = connect(Number(new URL(frontend.address).port), '127.0.0.1');
    let got = Buffer.alloc(0);
    socket.on('error', () => {}).on('data', (chunk: Buffer) => (got = Buffer.concat([got, chunk])));
    socket.write('GET /live HTTP/1.1\r\nhost: x\r\n\r\n');
    await once(socket, 'close');
    expect(got.toString()).not.toContain('HTTP/1.1');
    expect((await overHttp1(`${frontend.address}/live`)).status).toBe(200);
  });

  test('with a client authority nobody is served without its certificate, not even /live', async () => {
    await using frontend = await open({ clientCaPath: authority.cert });
    const url = `${frontend.address}/live`;
    await expect(overHttp1(url)).rejects.toThrow();
    await expect(overHttp1(url, trusting(stranger))).rejects.toThrow();
    expect((await overHttp1(url, trusting(client))).status).toBe(200);
    const session = await dial(frontend, client);
    expect(await overHttp2(session, '/live')).toMatchObject({ status: 200 });
    session.close();
  });

  test.each([
    [() => ({ certPath: server.cert }), '--tls-cert-path and --tls-key-path must be provided together'],
    [() => ({ keyPath: server.key }), '--tls-cert-path and --tls-key-path must be provided together'],
    [() => ({ clientCaPath: authority.cert }), '--tls-client-ca-cert-path requires --tls-cert-path and --tls-key-path'],
    [() => ({ certPath: '/nowhere/c.pem', keyPath: server.key }), 'TLS certificate not found: /nowhere/c.pem'],
    [() => ({ certPath: server.cert, keyPath: '/nowhere/k.pem' }), 'TLS key not found: /nowhere/k.pem'],
    [() => ({ certPath: server.cert, keyPath: server.key, clientCaPath: '/nowhere/a.pem' }), 'TLS client CA certificate not found: /nowhere/a.pem'],
    [() => ({ certPath: garbage, keyPath: server.key }), 'Failed to create TLS config'],
    [() => ({ certPath: client.cert, keyPath: server.key }), 'Failed to create TLS config'],
  ])('%o is refused before anything listens', async (tls, message) => {
    const opening = new Llm(runtime).frontend({ http: { host: '127.0.0.1', port: 0, tls: tls() } });
    await expect(opening).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message) });
  });
});
