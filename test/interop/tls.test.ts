import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { collect } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CertificateFolder, missingOpenssl, openCertificateFolder } from '../../packages/runtime/src/testing/certificates.ts';
import { cell, type Scene, testCells } from './cells.ts';
import { callFromPython, findPython, scene, startPeer } from './python.ts';

const found = findPython();
const reason = 'missing' in found ? found.missing : missingOpenssl();
if (reason !== undefined) console.warn(`skipped: ${reason}`);
const python = 'path' in found ? found.path : '';

const tls = { discovery: 'file', plane: 'tcp+tls' };
const mutual = { discovery: 'file', plane: 'tcp+mtls' };

describe.skipIf(reason !== undefined)('TLS on both planes', () => {
  const stack = new AsyncDisposableStack();
  let certificates: CertificateFolder;
  let plain: Scene;
  let encrypted: Scene;
  let both: Scene;
  let strange: Record<string, string>;
  beforeAll(async () => {
    certificates = stack.use(openCertificateFolder());
    const { env, root } = stack.use(await scene());
    const ca = certificates.authority('ca');
    const pair = certificates.signed('pair', ca);
    const own = { DYN_TCP_TLS_CERT_PATH: pair.cert, DYN_TCP_TLS_KEY_PATH: pair.key, DYN_TCP_TLS_CA_CERT_PATH: ca.cert };
    const shown = { DYN_TCP_TLS_CLIENT_CA_CERT_PATH: ca.cert, DYN_TCP_TLS_CLIENT_CERT_PATH: pair.cert, DYN_TCP_TLS_CLIENT_KEY_PATH: pair.key };
    plain = { discovery: 'file', plane: 'tcp', python, env, folder: root, requestBytes: 5 << 20 };
    encrypted = { ...plain, ...tls, env: { ...env, ...own } };
    both = { ...plain, ...mutual, env: { ...env, ...own, ...shown } };
    strange = { ...env, ...own, DYN_TCP_TLS_CA_CERT_PATH: certificates.authority('strangers').cert };
  });
  afterAll(() => stack.disposeAsync());

  describe('a pair and an authority', () => testCells(() => encrypted, tls));
  describe('certificates on both sides', () => testCells(() => both, mutual));

  describe('sides that do not fit', () => {
    /** Sets the variables of this process, which those that it starts inherit; those of other scenes go. */
    const become = (env: Record<string, string>): void => {
      for (const name of Object.keys(process.env)) if (name.startsWith('DYN_TCP_TLS_')) delete process.env[name];
      Object.assign(process.env, env, { DYN_TCP_CONNECT_TIMEOUT: '2' });
    };

    test.each([
      ['plain to tls', () => plain.env, () => encrypted.env],
      ['tls to plain', () => encrypted.env, () => plain.env],
      ['another authority', () => strange, () => encrypted.env],
      ['no certificate of its own', () => encrypted.env, () => both.env],
    ] as const)(`${cell('ours', 'real', { discovery: 'file', plane: 'tcp' }, 'mismatch')}: %s`, async (name, callerEnv, workerEnv) => {
      const path = `demo.mismatch-${name.replaceAll(' ', '-')}.generate` as const;
      become(workerEnv());
      await using _worker = startPeer(python, 'py_worker.py', { args: [path], env: workerEnv() });
      become(callerEnv());
      await using runtime = await DistributedRuntime.connect();
      const client = await runtime.client<unknown, unknown>(path);
      await client.ready();
      const error = await collect(client.generate({ op: 'count', n: 1 })).catch((thrown: unknown) => thrown);
      expect(['cannot_connect', 'disconnected', 'connection_timeout']).toContain(DynamoError.from(error).code);
      expect(DynamoError.from(error).message).toMatch(/^TCP connection to \S+ failed/);
    });

    test.each([
      ['plain to tls', () => plain.env, () => encrypted.env],
      ['tls to plain', () => encrypted.env, () => plain.env],
      ['another authority', () => strange, () => encrypted.env],
      ['no certificate of its own', () => encrypted.env, () => both.env],
    ] as const)(`${cell('real', 'ours', { discovery: 'file', plane: 'tcp' }, 'mismatch')}: %s`, async (name, callerEnv, workerEnv) => {
      const path = `demo.mismatch-${name.replaceAll(' ', '-')}-ours.generate` as const;
      become(workerEnv());
      await using runtime = await DistributedRuntime.connect();
      await runtime.serve(path, async function* () {
        yield 1;
      });
      become(callerEnv());
      const lines = await callFromPython(python, { args: [path, 'round_robin', '{}'], env: callerEnv() });
      expect(lines.at(-1)).toMatchObject({ end: 'error', items: 0 });
    });
  });
});
