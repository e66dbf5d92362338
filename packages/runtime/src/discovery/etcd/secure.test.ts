import { Etcd3 } from 'etcd3';
import { describe, expect, test } from 'vitest';
import { silentLogger } from '../../log.ts';
import { makeCertificates, missingOpenssl } from '../../testing/certificates.ts';
import { missing, startEtcd } from '../../testing/servers.ts';
import type { Discovery, DiscoveryRecord } from '../discovery.ts';
import { etcd } from './index.ts';
import { etcdOptionsOf } from './options.ts';

const reason = missing('etcd') ?? missingOpenssl();
if (reason !== undefined) console.warn(`skipped: ${reason}`);

const open = (env: Record<string, string>): Promise<Discovery> => etcd({ etcd: etcdOptionsOf(env), log: silentLogger });
const record: DiscoveryRecord = { bucket: 'v1/instances', key: 'n/c/e/1', value: '{"type":"Endpoint"}' };

describe.skipIf(reason !== undefined)('etcd that asks who we are', () => {
  test('TLS with certificates on both sides; without ours, or without trust, a clear refusal', async () => {
    using certificates = makeCertificates();
    const { ca, server: own, client } = certificates;
    await using server = await startEtcd({
      scheme: 'https',
      args: ['--cert-file', own.cert, '--key-file', own.key, '--trusted-ca-file', ca, '--client-cert-auth'],
    });
    const trusting = { ETCD_ENDPOINTS: server.url, ETCD_AUTH_CA: ca, ETCD_LEASE_TTL: '2' };
    {
      await using discovery = await open({ ...trusting, ETCD_AUTH_CLIENT_CERT: client.cert, ETCD_AUTH_CLIENT_KEY: client.key });
      await discovery.put(record);
      // The thread that renews the lease has the certificates too.
      await new Promise((resolve) => setTimeout(resolve, 3_500));
      expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([record]);
    }
    const refused = { code: 'cannot_connect', message: expect.stringContaining(server.url) };
    await expect(open(trusting)).rejects.toMatchObject(refused);
    await expect(open({ ETCD_ENDPOINTS: server.url, ETCD_AUTH_CLIENT_CERT: client.cert, ETCD_AUTH_CLIENT_KEY: client.key })).rejects.toMatchObject(
      refused,
    );
    await expect(open({ ETCD_ENDPOINTS: server.url.replace('https', 'http') })).rejects.toMatchObject({ code: 'cannot_connect' });
  });

  test('a login: wrong ones are refused, a right one outlives a restart that forgets its token', async () => {
    await using server = await startEtcd();
    using stack = new DisposableStack();
    const root = stack.adopt(new Etcd3({ hosts: server.url }), (client) => client.close());
    const admin = await root.role('root').create();
    await (await root.user('root').create('secret')).addRole(admin);
    const guest = await root.role('guest').create();
    await guest.grant({ permission: 'Readwrite', range: root.range({ prefix: 'v1/instances/' }) });
    await (await root.user('guest').create('guest')).addRole(guest);
    await root.auth.authEnable();

    const login = (username: string, password: string): Record<string, string> => ({
      ETCD_ENDPOINTS: server.url,
      ETCD_LEASE_TTL: '3',
      ETCD_AUTH_USERNAME: username,
      ETCD_AUTH_PASSWORD: password,
    });
    const wrong = await open(login('root', 'hunter2')).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('check ETCD_AUTH_USERNAME') });
    expect(String(wrong)).not.toContain('hunter2');

    await using discovery = await open(login('guest', 'guest'));
    await discovery.put(record);
    await expect(discovery.put({ ...record, bucket: 'v1/mdc' })).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(discovery.list({ bucket: 'v1/mdc' })).rejects.toMatchObject({ code: 'permission_denied' });
    const stop = new AbortController();
    const seen: string[] = [];
    const watching = (async () => {
      for await (const change of discovery.watch({ bucket: 'v1/instances' }, { signal: stop.signal }))
        seen.push(change.type === 'put' ? change.record.key : change.type);
    })();
    await expect.poll(() => seen).toEqual(['snapshot']);
    await server.kill();
    await server.start();
    const second = { ...record, key: 'n/c/e/2' };
    await expect.poll(() => discovery.put(second).then(() => 'put', String), { timeout: 10_000 }).toBe('put');
    await expect.poll(() => seen, { timeout: 5_000 }).toEqual(['snapshot', second.key]);
    await new Promise((resolve) => setTimeout(resolve, 4_500));
    expect(await discovery.list({ bucket: 'v1/instances' })).toEqual([record, second]);
    expect(seen).toEqual(['snapshot', second.key]);
    stop.abort();
    await watching;
  }, 30_000);

  test('etcd without logins says so to whoever brings one', async () => {
    await using server = await startEtcd();
    const login = { ETCD_ENDPOINTS: server.url, ETCD_AUTH_USERNAME: 'root', ETCD_AUTH_PASSWORD: 'secret' };
    await expect(open(login)).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringContaining('authentication is not enabled') });
  });
});
