import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { silentLogger } from '../../log.ts';
import { notebook } from '../../testing/notebook.ts';
import { freePort, missing, startEtcd, type TestServer } from '../../testing/servers.ts';
import { decodeInstance } from '../../wire/discovery-record.ts';
import { discoveryContract } from '../discovery.contract.ts';
import type { Discovery, DiscoveryRecord } from '../discovery.ts';
import { etcd } from './index.ts';
import { etcdOptionsOf } from './options.ts';

const reason = missing('etcd');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('etcd', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let raw: Etcd3;
  beforeAll(async () => {
    server = stack.use(await startEtcd());
    raw = stack.adopt(new Etcd3({ hosts: server.url }), (client) => client.close());
  });
  afterAll(() => stack.disposeAsync());

  const open = (env: Record<string, string> = {}, log = silentLogger): Promise<Discovery> =>
    etcd({ etcd: etcdOptionsOf({ ETCD_ENDPOINTS: server.url, ...env }), log });
  const record = (key: string, more = ''): DiscoveryRecord => ({ bucket: 'v1/instances', key, value: `{"type":"Endpoint","more":"${more}"}` });
  const keys = async (): Promise<string[]> => (await raw.getAll().prefix('').keys()).sort();

  discoveryContract({
    open: async () => {
      await raw.delete().all();
      const pair = new AsyncDisposableStack();
      return { a: pair.use(await open()), b: pair.use(await open()), [Symbol.asyncDispose]: () => pair.disposeAsync() };
    },
    skip: [],
  });

  test('keys, values and the lease are exactly those of the real one', async () => {
    const captured = readFileSync(new URL('../../../../../vectors/runtime/records/etcd-nats-mocker.jsonl', import.meta.url), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { key: string; value_text: string });
    await using discovery = await open();
    for (const { key, value_text: value } of captured) {
      const [, bucket, rest] = /^(v1\/\w+)\/(.*)$/.exec(key) ?? [];
      await discovery.put({ bucket: bucket as 'v1/mdc', key: rest!, value });
    }
    const { kvs } = await raw.getAll().prefix('').exec();
    expect(kvs.map(({ key, value, lease }) => [key.toString(), value.toString(), BigInt(lease)])).toEqual(
      captured.map(({ key, value_text: value }) => [key, value, discovery.instanceId]).sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
    );
    expect(discovery.instanceId).toBeGreaterThan(0n);
    expect(discovery.instanceId).toBeLessThan(1n << 63n);
  });

  test('the lease has the seconds that were asked for, and disposal deletes the keys and revokes it', async () => {
    const discovery = await open({ ETCD_LEASE_TTL: '7' });
    await discovery.put(record('n/c/e/1'));
    const leases = async (): Promise<string[]> => (await raw.leaseClient.leaseLeases()).leases.map(({ ID }) => ID);
    const { grantedTTL } = await raw.leaseClient.leaseTimeToLive({ ID: String(discovery.instanceId) });
    expect(grantedTTL).toBe('7');
    const gone: string[] = [];
    const watcher = await raw.watch().prefix('v1/').create();
    watcher.on('delete', ({ key }) => gone.push(key.toString()));
    await discovery.put(record('n/c/e/2'));
    await discovery[Symbol.asyncDispose]();
    expect(await leases()).not.toContain(String(discovery.instanceId));
    await expect.poll(() => gone).toEqual(['v1/instances/n/c/e/1', 'v1/instances/n/c/e/2']);
    await watcher.cancel();
    await expect(discovery.put(record('n/c/e/3'))).rejects.toMatchObject({ code: 'unavailable' });
    expect(await keys()).toEqual([]);
  });

  test('another key that begins alike is neither listed nor deleted', async () => {
    await using discovery = await open();
    const put = await discovery.put(record('n/c/e/1'));
    await raw.put('v1/instances/n/c/e/10').value('{"type":"Endpoint"}');
    await raw.put('v1/instances/n/c/e').value('{"type":"Endpoint"}');
    await raw.put('v1/instances/n/c/e-2/1').value('{"type":"Endpoint"}');
    expect((await discovery.list({ bucket: 'v1/instances', prefix: 'n/c/e' })).map(({ key }) => key)).toEqual(['n/c/e', 'n/c/e/1', 'n/c/e/10']);
    await put[Symbol.asyncDispose]();
    expect(await keys()).toEqual(['v1/instances/n/c/e', 'v1/instances/n/c/e-2/1', 'v1/instances/n/c/e/10']);
    await raw.delete().all();
  });

  test("a record that somebody else has put in our record's place is not deleted with it", async () => {
    await using discovery = await open();
    const put = await discovery.put(record('n/c/e/1', 'ours'));
    await raw.put('v1/instances/n/c/e/1').value('{"type":"Endpoint","more":"theirs"}');
    await put[Symbol.asyncDispose]();
    expect(await keys()).toEqual(['v1/instances/n/c/e/1']);
    await raw.delete().all();
  });

  test('garbage beside records is left out with one line each, by lists and by watches', async () => {
    const { lines, log } = notebook();
    await using discovery = await open({}, log);
    const stop = new AbortController();
    const seen: unknown[] = [];
    const watching = (async () => {
      for await (const change of discovery.watch({ bucket: 'v1/instances' }, { signal: stop.signal })) seen.push(change);
    })();
    await expect.poll(() => seen.length).toBe(1);
    const values = ['', '{"type":"Endp', '[]', 'null', '"text"', '{"type":7}', '['.repeat(200_000), Buffer.from([0xff, 0, 0x7b])];
    for (const [index, value] of values.entries()) await raw.put(`v1/instances/bad/${index}`).value(value);
    await raw.put(Buffer.concat([Buffer.from('v1/instances/'), Buffer.from([0xff, 0xfe])])).value('{"type":"Endpoint"}');
    await raw.put('v1/instances/good').value('{"type":"Endpoint","__proto__":{"polluted":true},"constructor":1}');
    await expect.poll(() => seen.length).toBe(2);
    expect(seen[1]).toMatchObject({ type: 'put', record: { key: 'good' } });
    for (let look = 0; look < 3; look++) expect(await discovery.list({ bucket: 'v1/instances' })).toMatchObject([{ key: 'good' }]);
    expect(lines).toHaveLength(values.length);
    // Garbage in the place of a record takes that record away.
    await raw.put('v1/instances/good').value('{');
    await expect.poll(() => seen.at(-1)).toEqual({ type: 'delete', bucket: 'v1/instances', key: 'good' });
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
    stop.abort();
    await watching;
    await raw.delete().all();
  });

  test('records of other versions are read: members missing, unknown, in another order, ids at their limits', async () => {
    await using discovery = await open();
    const put = async (key: string, value: string): Promise<void> => void (await raw.put(`v1/instances/${key}`).value(value));
    await put(
      'n/c/e/1',
      '{"future":{"a":[1]},"transport":{"tcp":"1.2.3.4:5/x","quic":"y"},"instance_id":1,"endpoint":"e","component":"c","namespace":"n","type":"Endpoint"}',
    );
    await put(
      'n/c/e/ffffffffffffffff',
      '{"type":"Endpoint","component":"c","endpoint":"e","namespace":"n","instance_id":18446744073709551615,"transport":{"nats_tcp":"n_c.e-f"},"device_type":null,"request_plane_codec":"cbor"}',
    );
    await put(
      'n/c/e/huge',
      `{"type":"Endpoint","component":"c","endpoint":"e","namespace":"n","instance_id":${'9'.repeat(4_000)},"transport":{"tcp":"a:1/x"}}`,
    );
    await put('n/c/e/minus', '{"type":"Endpoint","component":"c","endpoint":"e","namespace":"n","instance_id":-1,"transport":{"tcp":"a:1/x"}}');
    await put(
      '../../__proto__',
      '{"type":"Endpoint","component":"__proto__","endpoint":"../..","namespace":"n","instance_id":2,"transport":{"tcp":"a:1/x"}}',
    );
    const read = (await discovery.list({ bucket: 'v1/instances' })).map(decodeInstance);
    expect(read).toEqual([
      { namespace: 'n', component: '__proto__', endpoint: '../..', id: 2n, transport: { tcp: 'a:1/x' }, codec: 'json' },
      { namespace: 'n', component: 'c', endpoint: 'e', id: 1n, transport: { tcp: '1.2.3.4:5/x' }, codec: 'json' },
      { namespace: 'n', component: 'c', endpoint: 'e', id: 18446744073709551615n, transport: { nats: 'n_c.e-f' }, codec: 'json' },
      undefined,
      undefined,
    ]);
    await raw.delete().all();
  });

  test('more than four megabytes of cards are listed and watched, and one too large for etcd is refused by name', async () => {
    await using discovery = await open();
    const card = (key: string, bytes: number): DiscoveryRecord => ({ bucket: 'v1/mdc', key, value: `{"type":"Model","x":"${'x'.repeat(bytes)}"}` });
    for (let index = 0; index < 8; index++) await discovery.put(card(`n/c/e/${index}`, 1_000_000));
    expect(await discovery.list({ bucket: 'v1/mdc' })).toHaveLength(8);
    for await (const change of discovery.watch({ bucket: 'v1/mdc' }, { signal: AbortSignal.timeout(10_000) })) {
      expect(change).toMatchObject({ type: 'snapshot', records: { length: 8 } });
      break;
    }
    for (const bytes of [1_700_000, 4_000_000])
      await expect(discovery.put(card('n/c/e/large', bytes))).rejects.toMatchObject({
        code: 'invalid_argument',
        message: expect.stringContaining("could not put 'v1/mdc/n/c/e/large'"),
      });
  });

  test('an endpoint that does not answer is passed over when another does', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    await using discovery = await open({ ETCD_ENDPOINTS: `${dead},${server.url},${dead}` });
    for (let index = 0; index < 10; index++) await discovery.put(record(`n/c/e/${index}`));
    expect(await discovery.list({ bucket: 'v1/instances' })).toHaveLength(10);
    for await (const change of discovery.watch({ bucket: 'v1/instances' }, { signal: AbortSignal.timeout(10_000) })) {
      expect(change).toMatchObject({ type: 'snapshot', records: { length: 10 } });
      break;
    }
  });
});

test('etcd that is not there is told soon, with its address and what to do', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  await expect(etcd({ etcd: etcdOptionsOf({ ETCD_ENDPOINTS: url }), log: silentLogger })).rejects.toMatchObject({
    code: 'cannot_connect',
    message: expect.stringMatching(new RegExp(`^etcd at ${url}: could not connect: .*ECONNREFUSED.*ETCD_ENDPOINTS.*DYN_DISCOVERY_BACKEND=file`)),
  });
});

test('etcd that takes connections and never answers is told within seconds', async () => {
  const silent = createServer(() => {}).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  await expect(etcd({ etcd: etcdOptionsOf({ ETCD_ENDPOINTS: url }), log: silentLogger })).rejects.toMatchObject({
    code: 'cannot_connect',
    message: expect.stringContaining(`etcd at ${url}: could not connect: Deadline exceeded`),
  });
  silent.close();
});
