import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { describe, expect, test, vi } from 'vitest';
import { missingOpenssl, openCertificateFolder } from '../../../runtime/src/testing/certificates.ts';
import { hashKey } from '../access/key-file.ts';
import { callOnce } from './testing/calls.ts';
import { type Asked, decodeAnswer, decodeStreamAnswer, encodeAsked } from './testing/client-messages.ts';
import { openScene, type Scene } from './testing/scene.ts';

const asked = (op: string, values: readonly number[] = [1]): Asked => ({
  model: 'tensor',
  strings: { op },
  inputs: [{ name: 'x', datatype: 'INT32', shape: [values.length], contents: { int: [...values] } }],
});
const askedText = (prompt: string, stream: boolean): Asked => ({
  model: 'text',
  inputs: [
    { name: 'text_input', datatype: 'BYTES', shape: [1], contents: { bytes: [Buffer.from(prompt)] } },
    { name: 'streaming', datatype: 'BOOL', shape: [1], contents: { bool: [stream] } },
  ],
});

/** Waits until a check holds, also on a machine that is busy with other things. */
const soon = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, 10_000);

const asItIs = (bytes: Buffer): Buffer => bytes;

/** A stream that stays open, with what has come over it. */
function openStream(client: Client) {
  const call = client.makeBidiStreamRequest<Buffer, Buffer>('/inference.GRPCInferenceService/ModelStreamInfer', asItIs, asItIs, new Metadata());
  const messages: Buffer[] = [];
  const ended = new Promise<ServiceError | undefined>((resolve) => {
    call.on('data', (message: Buffer) => messages.push(message));
    call.on('error', (error: ServiceError) => resolve(error));
    call.on('end', () => resolve(undefined));
  });
  return { call, messages, ended };
}

const metrics = async ({ frontend }: Scene): Promise<string> => (await fetch(`${frontend.address}/metrics`)).text();

describe('whoever leaves', () => {
  test('in the midst of a stream stops the engine, and is counted', async () => {
    await using scene = await openScene();
    for (const [request, op] of [
      [asked('wait'), 'wait'],
      [askedText('wait', true), 'text'],
    ] as const) {
      const { call, messages } = openStream(scene.client);
      call.write(encodeAsked(request));
      await soon(() => expect(messages.length).toBeGreaterThan(0));
      call.cancel();
      await soon(() => expect(scene.stopped).toContain(op));
    }
    await soon(async () => {
      expect(await metrics(scene)).toMatch(/model_cancellation_total\{endpoint="tensor",model="tensor",request_type="stream"\} 1/);
      expect(await metrics(scene)).toMatch(/requests_total\{endpoint="completions",error_type="cancelled",model="text",request_type="stream"/);
    });
  });

  test('before a unary answer stops the engine, by hand or by deadline', async () => {
    await using scene = await openScene();
    const { error } = await callOnce(scene.client, 'ModelInfer', encodeAsked(asked('wait')), { deadline: Date.now() + 300 });
    expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
    await soon(() => expect(scene.stopped).toEqual(['wait']));
    const call = scene.client.makeUnaryRequest(
      '/inference.GRPCInferenceService/ModelInfer',
      asItIs,
      asItIs,
      encodeAsked(askedText('wait', false)),
      () => undefined,
    );
    await soon(async () => expect(await metrics(scene)).toMatch(/inflight_requests\{model="text"\} 1/));
    call.cancel();
    await soon(() => expect(scene.stopped).toEqual(['wait', 'text']));
  });
});

describe('a frontend that closes', () => {
  test('lets running answers end, and ends streams that wait for requests', async () => {
    await using scene = await openScene();
    const idle = openStream(scene.client);
    idle.call.write(encodeAsked(asked('echo')));
    await soon(() => expect(idle.messages.length).toBe(1));
    const running = openStream(scene.client);
    running.call.write(encodeAsked(askedText('hello', true)));
    running.call.end();
    await soon(() => expect(running.messages.length).toBeGreaterThan(0));
    await scene.frontend[Symbol.asyncDispose]();
    expect(await running.ended).toBeUndefined();
    expect(decodeStreamAnswer(running.messages.at(-1) as Buffer)).toMatchObject({ outputs: [{ texts: [''] }, { texts: ['stop'] }] });
    expect(await idle.ended).toMatchObject({ code: status.UNAVAILABLE });
  });

  test('cuts what takes longer', async () => {
    await using scene = await openScene({ drainMs: 50 });
    const { call, messages, ended } = openStream(scene.client);
    call.write(encodeAsked(asked('wait')));
    await soon(() => expect(messages.length).toBe(1));
    await scene.frontend[Symbol.asyncDispose]();
    expect(await ended).toMatchObject({ code: status.UNAVAILABLE, details: expect.stringContaining('shuts down') });
    await soon(() => expect(scene.stopped).toEqual(['wait']));
  });
});

test('as many requests at once as the frontend may answer', async () => {
  await using scene = await openScene({ limits: { concurrent: 1, queued: 0 } });
  const { call, messages } = openStream(scene.client);
  call.write(encodeAsked(asked('wait')));
  await soon(() => expect(messages.length).toBe(1));
  const { error } = await callOnce(scene.client, 'ModelInfer', encodeAsked(asked('echo')));
  expect(error?.code).toBe(status.RESOURCE_EXHAUSTED);
  call.cancel();
  await soon(async () => expect((await callOnce(scene.client, 'ModelInfer', encodeAsked(asked('echo')))).error).toBeUndefined());
});

test('API keys count here too', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'dynamo-kserve-'));
  try {
    const entries = [{ id: 'free' }, { id: 'few', requestsPerMinute: 1 }, { id: 'other', models: ['large'] }];
    await writeFile(join(folder, 'keys'), entries.map((entry) => JSON.stringify({ ...entry, sha256: hashKey(entry.id).toString('hex') })).join('\n'));
    await using scene = await openScene({ access: { keysPath: join(folder, 'keys') } });
    const infer = async (key?: string, method = 'ModelInfer'): Promise<number> =>
      (await callOnce(scene.client, method, encodeAsked(asked('echo')), key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } }))
        .error?.code ?? status.OK;
    expect(await infer()).toBe(status.UNAUTHENTICATED);
    expect(await infer('guess')).toBe(status.UNAUTHENTICATED);
    expect(await infer(undefined, 'ModelMetadata')).toBe(status.UNAUTHENTICATED);
    expect(await infer('free')).toBe(status.OK);
    expect([await infer('few'), await infer('few')]).toEqual([status.OK, status.RESOURCE_EXHAUSTED]);
    expect(await infer('other')).toBe(status.PERMISSION_DENIED);
    // Liveness needs no key.
    expect((await callOnce(scene.client, 'ServerLive', Buffer.alloc(0))).error).toBeUndefined();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.skipIf(missingOpenssl() !== undefined)('TLS, with certificates of clients', async () => {
  using folder = openCertificateFolder();
  const authority = folder.authority('authority');
  const server = folder.signed('server', authority);
  const client = folder.signed('client', authority);
  const grpc = { host: '127.0.0.1', port: 0, tls: { certPath: server.cert, keyPath: server.key, clientCaPath: authority.cert } };
  const ca = readFileSync(authority.cert);
  await using scene = await openScene({ grpc }, credentials.createSsl(ca, readFileSync(client.key), readFileSync(client.cert)));
  const { message } = await callOnce(scene.client, 'ModelInfer', encodeAsked(asked('echo', [5])));
  expect(decodeAnswer(message as Buffer).outputs[0]?.ints).toEqual([5]);
});

test('what a card says of its tensors is what clients are told', async () => {
  await using scene = await openScene();
  const name = Buffer.from('0a0674656e736f72', 'hex');
  const { message } = await callOnce(scene.client, 'ModelConfig', name);
  // 8 is INT32, 10 is FP16.
  expect(message?.toString('hex')).toBe(
    `0a40${Buffer.from('\n\x06tensor\x12\x06dynamo', 'latin1').toString('hex')}2a110a01781008220affffffffffffffffff0132120a0179100a1a0bffffffffffffffffff01028a010664796e616d6f`,
  );
});

test('a port in use is told', async () => {
  await using scene = await openScene();
  const port = Number(scene.frontend.grpcAddress.split(':')[1]);
  await expect(openScene({ grpc: { host: '127.0.0.1', port } })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: `port ${port} on 127.0.0.1 is in use`,
  });
});
