import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { collect } from './async/pipe.ts';
import { isInstanceFault } from './client/faults.ts';
import { mem, MemStore } from './discovery/mem/index.ts';
import { DynamoError, errorTable } from './error.ts';
import { dial } from './net/dial.ts';
import { readTlsSettings } from './net/tls-settings.ts';
import { openSockets } from './planes/testing/stage.ts';
import { mutualEnv, tlsEnv, tlsFrom } from './planes/testing/tls.ts';
import { DistributedRuntime } from './runtime.ts';
import { openCertificateFolder, missingOpenssl, type CertificateFolder, type TestPair } from './testing/certificates.ts';
import { notebook } from './testing/notebook.ts';

const captured = JSON.parse(readFileSync(new URL('../../../vectors/runtime/tls.json', import.meta.url), 'utf8')) as {
  cases: { frontend: string; worker: string; status: number }[];
};

const path = 'demo.backend.generate';
const reason = missingOpenssl();

describe('half a configuration is refused', () => {
  const pair = { DYN_TCP_TLS_CERT_PATH: '/c', DYN_TCP_TLS_KEY_PATH: '/k' };
  test.each([
    [{ DYN_TCP_TLS_CERT_PATH: '/c' }, 'DYN_TCP_TLS_CERT_PATH is set without DYN_TCP_TLS_KEY_PATH'],
    [{ DYN_TCP_TLS_KEY_PATH: '/k' }, 'DYN_TCP_TLS_KEY_PATH is set without DYN_TCP_TLS_CERT_PATH'],
    [{ DYN_TCP_TLS_CLIENT_CA_CERT_PATH: '/a' }, 'DYN_TCP_TLS_CLIENT_CA_CERT_PATH is set without DYN_TCP_TLS_CERT_PATH and DYN_TCP_TLS_KEY_PATH'],
    [
      { DYN_TCP_TLS_CA_CERT_PATH: '/a', DYN_TCP_TLS_CLIENT_CERT_PATH: '/c' },
      'DYN_TCP_TLS_CLIENT_CERT_PATH is set without DYN_TCP_TLS_CLIENT_KEY_PATH',
    ],
    [
      { DYN_TCP_TLS_CLIENT_CERT_PATH: '/c', DYN_TCP_TLS_CLIENT_KEY_PATH: '/k' },
      'DYN_TCP_TLS_CLIENT_CERT_PATH is set without DYN_TCP_TLS_CA_CERT_PATH',
    ],
  ])('%j', (env, message) => {
    expect(() => readTlsSettings(env)).toThrow(expect.objectContaining({ code: 'invalid_argument', message }));
  });

  test('no variable, and empty ones, mean plain text', () => {
    expect(readTlsSettings({})).toEqual({ server: undefined, client: undefined });
    expect(readTlsSettings({ DYN_TCP_TLS_CERT_PATH: '', DYN_TCP_TLS_CA_CERT_PATH: '', DYN_TCP_TLS_INSECURE: '0' })).toEqual({
      server: undefined,
      client: undefined,
    });
    expect(readTlsSettings({ ...pair, DYN_TCP_TLS_INSECURE: 'true' }).client).toEqual({ insecure: true });
  });
});

describe.skipIf(reason !== undefined)(`a fleet in TLS (${reason ?? 'certificates made by openssl'})`, () => {
  let certificates: CertificateFolder;
  let ca: TestPair;
  let strangers: TestPair;
  let pair: TestPair;
  let named: TestPair;
  let foreign: TestPair;
  beforeAll(() => {
    certificates = openCertificateFolder();
    ca = certificates.authority('ca');
    strangers = certificates.authority('strangers');
    pair = certificates.signed('pair', ca);
    named = certificates.signed('named', ca, 'DNS:worker.example');
    foreign = certificates.signed('foreign', strangers);
  });
  afterAll(() => certificates[Symbol.dispose]());
  beforeEach(() => {
    vi.stubEnv('DYN_TCP_RPC_HOST', '127.0.0.1');
    vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
  });
  afterEach(() => vi.unstubAllEnvs());

  async function connect(env: Record<string, string>, more: Parameters<typeof DistributedRuntime.connect>[0] = {}): Promise<DistributedRuntime> {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
    try {
      return await DistributedRuntime.connect({ drainMs: 500, ...more });
    } finally {
      for (const name of Object.keys(env)) vi.stubEnv(name, undefined);
    }
  }

  /** A worker and a caller with these variables each, and what a call between them comes to. */
  async function open(workerEnv: Record<string, string>, callerEnv: Record<string, string>) {
    const stack = new AsyncDisposableStack();
    const store = new MemStore();
    const notes = { worker: notebook(), caller: notebook() };
    const timeouts = { callHomeMs: 1_000 };
    const worker = stack.use(await connect(workerEnv, { discovery: mem(store), log: notes.worker.log }));
    const caller = stack.use(await connect(callerEnv, { discovery: mem(store), log: notes.caller.log, timeouts }));
    await worker.serve<number, number>(path, async function* (n) {
      for (let i = 0; i < n; i++) yield i;
    });
    const client = await caller.client<number, number>(path);
    const [instance] = await client.ready();
    const call = (n = 3): Promise<number[] | DynamoError> =>
      collect(client.generate(n, { instance: instance?.id ?? 0n })).catch((error: unknown) => DynamoError.from(error));
    return { call, lines: { worker: notes.worker.lines, caller: notes.caller.lines }, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  const own = (): Record<string, string> => tlsEnv(pair, ca);
  const insecure = (): Record<string, string> => ({
    DYN_TCP_TLS_CERT_PATH: foreign.cert,
    DYN_TCP_TLS_KEY_PATH: foreign.key,
    DYN_TCP_TLS_INSECURE: '1',
  });

  /** What the captures of the real system call the settings of a process. */
  const word = (text: string): Record<string, string> => {
    const mutual = mutualEnv(pair, ca);
    const words: Record<string, readonly string[]> = {
      none: [],
      pair: ['CERT_PATH', 'KEY_PATH'],
      ca: ['CA_CERT_PATH'],
      'client ca': ['CLIENT_CA_CERT_PATH'],
      'client pair': ['CLIENT_CERT_PATH', 'CLIENT_KEY_PATH'],
    };
    if (text === 'another ca') return { DYN_TCP_TLS_CA_CERT_PATH: strangers.cert };
    if (text === 'DYN_TCP_TLS_INSECURE=1') return { DYN_TCP_TLS_INSECURE: '1' };
    return Object.fromEntries((words[text] ?? []).map((end) => [`DYN_TCP_TLS_${end}`, mutual[`DYN_TCP_TLS_${end}`] ?? '']));
  };
  const envOf = (texts: string): Record<string, string> => Object.assign({}, ...texts.split('+').map(word)) as Record<string, string>;

  test.each(captured.cases.map((row) => [row.frontend, row.worker, row.status] as const))(
    'as the real system: a caller with %s and a worker with %s come to %i',
    async (callerWords, workerWords, status) => {
      await using run = await open(envOf(workerWords), envOf(callerWords));
      const outcome = await run.call();
      expect(Array.isArray(outcome) ? 200 : errorTable[outcome.code].httpStatus).toBe(status);
    },
  );

  test.each([
    ['pair and authority', own],
    ['certificates on both sides', () => mutualEnv(pair, ca)],
    ['insecure, whoever signed', insecure],
    ['a name in place of the address', () => ({ ...tlsEnv(named, ca), DYN_TCP_TLS_SERVER_NAME: 'worker.example' })],
  ])('works: %s', async (_, env) => {
    const before = openSockets();
    {
      await using run = await open(env(), env());
      expect(await run.call(1_000)).toHaveLength(1_000);
      const all = await Promise.all(Array.from({ length: 50 }, (__, n) => run.call(n)));
      expect(all.map((items) => (items as number[]).length)).toEqual(Array.from({ length: 50 }, (__, n) => n));
      const warned = run.lines.worker.filter((line) => !line.startsWith('DYN_TCP_TLS_INSECURE'));
      expect(warned).toEqual([]);
    }
    await expect.poll(openSockets).toBeLessThanOrEqual(before);
  });

  const foreigner = (): Record<string, string> => ({
    ...mutualEnv(pair, ca),
    DYN_TCP_TLS_CLIENT_CERT_PATH: foreign.cert,
    DYN_TCP_TLS_CLIENT_KEY_PATH: foreign.key,
  });
  const failed = 'a peer failed the TLS handshake';
  test.each([
    ['a caller in TLS, a worker in plain text', () => ({}), own, 'closed a request connection'],
    ['a caller in plain text, a worker in TLS', own, () => ({}), failed],
    // It is the caller who does not go on.
    ['a caller that trusts another authority', own, () => tlsEnv(pair, strangers), undefined],
    ['a certificate for another address', () => tlsEnv(named, ca), own, undefined],
    ['a caller without a certificate of its own', () => mutualEnv(pair, ca), own, failed],
    ['a caller whose certificate is foreign', () => mutualEnv(pair, ca), foreigner, failed],
  ] as const)('fails with a type, and quarantines as a closed port does: %s', async (_, workerEnv, callerEnv, line) => {
    await using run = await open(workerEnv(), callerEnv());
    for (let calls = 1; calls <= 2; calls++) {
      const error = await run.call();
      expect(error).toMatchObject({ name: 'DynamoError', message: expect.stringMatching(/^TCP connection to 127\.0\.0\.1:\d+ failed/) });
      expect(['cannot_connect', 'disconnected']).toContain((error as DynamoError).code);
      expect(isInstanceFault(error)).toBe(true);
      const lines = (): string[] => run.lines.worker.filter((text) => !text.startsWith('this process answers'));
      await expect.poll(lines).toEqual(line === undefined ? [] : Array.from({ length: calls }, () => line));
    }
  });

  test('a worker that calls home in TLS to a caller in plain text: both logs say so, and the call ends', async () => {
    const onlyClient = { DYN_TCP_TLS_CA_CERT_PATH: ca.cert };
    await using run = await open(onlyClient, {});
    expect(await run.call()).toMatchObject({ code: 'connection_timeout', data: { limit: 'callHome' } });
    expect(run.lines.worker).toEqual(['could not call home']);
    expect(run.lines.caller).toEqual([expect.stringContaining('a worker calls home in TLS, and this port speaks plain text')]);
  });

  test('a worker that calls home in plain text to a caller in TLS: likewise', async () => {
    const onlyServer = { DYN_TCP_TLS_CERT_PATH: pair.cert, DYN_TCP_TLS_KEY_PATH: pair.key };
    await using run = await open({}, onlyServer);
    expect(await run.call()).toMatchObject({ code: 'connection_timeout', data: { limit: 'callHome' } });
    expect(run.lines.caller.at(-1)).toBe('a peer failed the TLS handshake');
  });

  test('a peer that connects to a TLS port and says nothing is let go', async () => {
    const { lines, log } = notebook();
    await using worker = await connect({ ...own(), DYN_TCP_TLS_HANDSHAKE_TIMEOUT_SECS: '1' }, { discovery: mem(new MemStore()), log });
    const served = await worker.serve(path, async function* () {});
    const address = 'tcp' in served.instance.transport ? served.instance.transport.tcp : '';
    const closed = Promise.withResolvers<void>();
    dial({ host: '127.0.0.1', port: Number(/:(\d+)\//.exec(address)?.[1]) }, undefined).once('close', () => closed.resolve());
    await closed.promise;
    expect(lines).toEqual(['a peer failed the TLS handshake']);
  });

  test('files that cannot be used are refused at connect, by variable and path', async () => {
    const garbage = join(certificates.path, 'garbage.pem');
    writeFileSync(garbage, 'no certificate');
    for (const name of Object.keys(mutualEnv(pair, ca))) {
      for (const file of ['/nowhere/x.pem', garbage]) {
        const refused = await connect({ ...mutualEnv(pair, ca), [name]: file }, { discovery: 'mem' }).catch((error: unknown) => error);
        expect(refused, name).toMatchObject({ code: 'invalid_argument', data: { name, path: file } });
        expect((refused as Error).message).toContain(`${name}: ${file}`);
      }
    }
    const swapped = await connect({ ...own(), DYN_TCP_TLS_KEY_PATH: named.key }, { discovery: 'mem' }).catch((error: unknown) => error);
    expect(swapped).toMatchObject({
      code: 'invalid_argument',
      data: { name: 'DYN_TCP_TLS_KEY_PATH' },
      message: expect.stringContaining(`does not belong to ${pair.cert}`),
    });
  });

  test('a plain OpenSSL client is answered in TLS 1.3, as by the real worker', async () => {
    await using worker = await connect(own(), { discovery: mem(new MemStore()) });
    const served = await worker.serve(path, async function* () {});
    const address = 'tcp' in served.instance.transport ? served.instance.transport.tcp : '';
    const { client } = await tlsFrom(own());
    const socket = dial({ host: '127.0.0.1', port: Number(/:(\d+)\//.exec(address)?.[1]) }, client);
    await new Promise((resolve) => socket.once('secureConnect', resolve));
    expect(socket).toMatchObject({ authorized: true, alpnProtocol: false });
    expect((socket as unknown as { getProtocol(): string }).getProtocol()).toBe('TLSv1.3');
    socket.destroy();
  });
});
