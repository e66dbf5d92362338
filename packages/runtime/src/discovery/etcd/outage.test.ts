import { setTimeout as sleep } from 'node:timers/promises';
import { Etcd3 } from 'etcd3';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { collect } from '../../async/pipe.ts';
import { silentLogger } from '../../log.ts';
import { DistributedRuntime } from '../../runtime.ts';
import { notebook } from '../../testing/notebook.ts';
import { type Proxy, startProxy } from '../../testing/proxy.ts';
import { missing, startEtcd, type TestServer } from '../../testing/servers.ts';
import type { Discovery, DiscoveryRecord } from '../discovery.ts';
import { etcd } from './index.ts';
import { etcdOptionsOf } from './options.ts';

const record = (key: string, more = ''): DiscoveryRecord => ({ bucket: 'v1/instances', key, value: `{"type":"Endpoint","more":"${more}"}` });

/** What a watch shows, kept up to date until disposed; it complains of a change that can't be. */
function follow(discovery: Discovery) {
  const stop = new AbortController();
  const state = new Map<string, string>();
  const wrong: string[] = [];
  let snapshots = 0;
  const ended = (async () => {
    for await (const change of discovery.watch({ bucket: 'v1/instances' }, { signal: stop.signal })) {
      if (change.type === 'snapshot') {
        snapshots++;
        for (const { key, value } of change.records) state.set(key, value);
      } else if (change.type === 'delete') {
        if (!state.delete(change.key)) wrong.push(`${change.key} went and had not come`);
      } else {
        if (state.get(change.record.key) === change.record.value) wrong.push(`${change.record.key} came twice`);
        state.set(change.record.key, change.record.value);
      }
    }
  })();
  return {
    state,
    wrong,
    get snapshots() {
      return snapshots;
    },
    keys: () => [...state.keys()].sort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ended;
    },
  };
}

const reason = missing('etcd');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('when etcd or the way to it fails', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let proxy: Proxy;
  let raw: Etcd3;
  beforeAll(async () => {
    server = stack.use(await startEtcd());
    proxy = stack.use(await startProxy(server.port));
    raw = stack.adopt(new Etcd3({ hosts: server.url, faultHandling: {} }), (client) => client.close());
  });
  beforeEach(async () => {
    await raw.delete().all();
  });
  afterAll(() => stack.disposeAsync());

  const open = (options: { ttl?: number; proxied?: boolean; log?: typeof silentLogger } = {}): Promise<Discovery> =>
    etcd({
      etcd: etcdOptionsOf({
        ETCD_ENDPOINTS: options.proxied === true ? `127.0.0.1:${proxy.port}` : server.url,
        ETCD_LEASE_TTL: String(options.ttl ?? 30),
      }),
      log: options.log ?? silentLogger,
    });
  const there = async (): Promise<[string, bigint][]> =>
    (await raw.getAll().prefix('').exec()).kvs.map(({ key, lease }) => [key.toString(), BigInt(lease)]);
  const revoke = (discovery: Discovery): Promise<unknown> => raw.leaseClient.leaseRevoke({ ID: String(discovery.instanceId) });

  test('etcd is killed and started again: what was registered stays, watches go on, new records are taken', async () => {
    await using writer = await open();
    await using reader = await open();
    await using watch = follow(reader);
    const first = await writer.put(record('one'));
    await expect.poll(watch.keys).toEqual(['one']);
    await server.kill();
    const failed = { code: 'unavailable', message: expect.stringContaining(server.url) };
    await expect(writer.put(record('two'))).rejects.toMatchObject(failed);
    await expect(reader.list({ bucket: 'v1/instances' })).rejects.toMatchObject(failed);
    await server.start();
    await expect.poll(() => writer.put(record('two')).then(() => 'put', String), { timeout: 10_000 }).toBe('put');
    await expect.poll(watch.keys, { timeout: 5_000 }).toEqual(['one', 'two']);
    await first[Symbol.asyncDispose]();
    await expect.poll(watch.keys, { timeout: 5_000 }).toEqual(['two']);
    expect([watch.snapshots, watch.wrong]).toEqual([1, []]);
  });

  test('etcd stands still for longer than the lease: everything is back under the same id', async () => {
    await using writer = await open({ ttl: 2 });
    await using reader = await open();
    await using watch = follow(reader);
    for (const key of ['one', 'two']) await writer.put(record(key));
    await expect.poll(watch.keys).toEqual(['one', 'two']);
    server.signal('SIGSTOP');
    await sleep(4_000);
    server.signal('SIGCONT');
    // Whether the lease ends or a renewal comes first is etcd's to say; both must end well, and stay so.
    await sleep(2_500);
    await expect.poll(there, { timeout: 10_000 }).toEqual([
      ['v1/instances/one', writer.instanceId],
      ['v1/instances/two', writer.instanceId],
    ]);
    await expect.poll(watch.keys, { timeout: 5_000 }).toEqual(['one', 'two']);
    expect(watch.wrong).toEqual([]);
  }, 30_000);

  test('a lease that somebody revokes is granted anew, and its records put back; what was withdrawn stays away', async () => {
    const { lines, log } = notebook();
    await using writer = await open({ ttl: 2, log });
    await using reader = await open();
    await using watch = follow(reader);
    await writer.put(record('stays'));
    const leaving = await writer.put(record('leaves'));
    await expect.poll(watch.keys).toEqual(['leaves', 'stays']);
    await revoke(writer);
    await leaving[Symbol.asyncDispose]();
    await expect.poll(there, { timeout: 5_000 }).toEqual([['v1/instances/stays', writer.instanceId]]);
    expect(lines).toEqual(['etcd has ended the lease: registering again under the same id']);
    await sleep(3_000);
    expect(await there()).toEqual([['v1/instances/stays', writer.instanceId]]);
    expect(watch.keys()).toEqual(['stays']);
  });

  test('a put that finds the lease gone brings it back, and what else hung on it', async () => {
    await using writer = await open({ ttl: 600 });
    await writer.put(record('one'));
    await revoke(writer);
    await writer.put(record('two'));
    await expect.poll(there).toEqual([
      ['v1/instances/one', writer.instanceId],
      ['v1/instances/two', writer.instanceId],
    ]);
  });

  test("where another holds a lost record's key, the runtime is told to shut down", async () => {
    await using writer = await open({ ttl: 3 });
    await writer.put(record('mine'));
    await revoke(writer);
    await raw.put('v1/instances/mine').value('{"type":"Endpoint","more":"theirs"}');
    await expect(writer.lost).rejects.toMatchObject({ code: 'invalid_argument', message: "discovery key 'v1/instances/mine' exists already" });
    expect((await writer.list({ bucket: 'v1/instances' })).map(({ value }) => value)).toEqual(['{"type":"Endpoint","more":"theirs"}']);
  });

  test('the connection is cut a hundred times while records come and go: the watch ends where a list does', async () => {
    await using writer = await open();
    await using reader = await open({ proxied: true });
    await using watch = follow(reader);
    await writer.put(record('anchor'));
    await expect.poll(watch.keys).toEqual(['anchor']);
    const puts = new Map<string, AsyncDisposable>();
    for (let round = 0; round < 100; round++) {
      const key = `n/c/e/${round % 17}`;
      const known = puts.get(key);
      puts.delete(key);
      const changing = known === undefined ? writer.put(record(key, String(round))).then((put) => puts.set(key, put)) : known[Symbol.asyncDispose]();
      // The cuts fall on connections of every age: while they open, while they are read from, while they watch.
      while (proxy.connections === 0) await sleep(2);
      proxy.delayMs = round % 2;
      await sleep((round % 7) * 4);
      proxy.cut();
      await changing;
    }
    const list = async (): Promise<string[]> => (await writer.list({ bucket: 'v1/instances' })).map(({ key, value }) => key + value).sort();
    const listed = await list();
    await expect.poll(() => [...watch.state].map(([key, value]) => key + value).sort(), { timeout: 10_000 }).toEqual(listed);
    await writer.put(record('last'));
    await expect.poll(watch.keys, { timeout: 5_000 }).toContain('last');
    expect([watch.snapshots, watch.wrong]).toEqual([1, []]);
  });

  test('history that was compacted while the watch was away costs nothing', async () => {
    await using writer = await open();
    await using reader = await open({ proxied: true });
    await using watch = follow(reader);
    const going = await writer.put(record('goes'));
    await writer.put(record('stays'));
    await expect.poll(watch.keys).toEqual(['goes', 'stays']);
    proxy.refuse();
    await going[Symbol.asyncDispose]();
    for (let index = 0; index < 50; index++) await (await writer.put(record('flits', String(index))))[Symbol.asyncDispose]();
    await writer.put(record('comes'));
    const { header } = await raw.getAll().prefix('').exec();
    await raw.kv.compact({ revision: header.revision, physical: true });
    proxy.mend();
    await expect.poll(watch.keys, { timeout: 10_000 }).toEqual(['comes', 'stays']);
    expect([watch.snapshots, watch.wrong]).toEqual([1, []]);
  });

  // On a machine that is busy with more than this, etcd itself may be late: it must succeed once.
  test('an event loop that is blocked for 5 s keeps a registration of 2 s', { retry: 2 }, async () => {
    await using writer = await open({ ttl: 2 });
    await using reader = await open();
    await using watch = follow(reader);
    const { lines, log } = notebook();
    await using second = await open({ ttl: 2, log });
    await writer.put(record('one'));
    await second.put(record('two'));
    await expect.poll(watch.keys).toEqual(['one', 'two']);
    const { header } = await raw.getAll().prefix('').exec();
    for (const until = performance.now() + 5_000; performance.now() < until;);
    // No lease has ended in between: etcd has written nothing.
    expect((await raw.getAll().prefix('').exec()).header.revision).toBe(header.revision);
    expect(watch.keys()).toEqual(['one', 'two']);
    expect(lines).toEqual([]);
  });

  test('a record withdrawn while etcd is away goes when it is back, and may come again meanwhile', async () => {
    await using writer = await open({ proxied: true });
    const first = await writer.put(record('goes'));
    const second = await writer.put(record('comes again', 'old'));
    proxy.refuse();
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await expect(writer.put(record('comes again', 'lost'))).rejects.toMatchObject({ code: 'unavailable' });
    expect((await there()).map(([key]) => key)).toEqual(['v1/instances/comes again', 'v1/instances/goes']);
    proxy.mend();
    await expect.poll(() => writer.put(record('comes again', 'new')).then(() => 'put', String), { timeout: 5_000 }).toBe('put');
    await expect.poll(there, { timeout: 10_000 }).toEqual([['v1/instances/comes again', writer.instanceId]]);
    await sleep(2_500);
    expect((await writer.list({ bucket: 'v1/instances' })).map(({ value }) => value)).toEqual([record('', 'new').value]);
  });

  test('leaving while etcd is away says so and does not wait; the records go with the lease', async () => {
    const { lines, log } = notebook();
    const writer = await open({ ttl: 2, proxied: true, log });
    await writer.put(record('one'));
    proxy.refuse();
    await writer[Symbol.asyncDispose]();
    expect(lines).toContain('could not leave etcd: the records go when the lease ends');
    proxy.mend();
    await expect.poll(there, { timeout: 10_000 }).toEqual([]);
  });

  test('a runtime whose lease is revoked while it answers finishes the answer, and is found again', async () => {
    await using worker = await DistributedRuntime.connect({ discovery: await open({ ttl: 3 }) });
    const served = await worker.serve<number, number>('n.c.e', async function* (count) {
      for (let index = 0; index < count; index++) {
        yield index;
        await sleep(30);
      }
    });
    await using caller = await DistributedRuntime.connect({ discovery: await open() });
    const client = await caller.client<number, number>('n.c.e');
    await client.ready();
    const born = async (): Promise<string | undefined> => (await raw.getAll().prefix('v1/instances/n/c/e').exec()).kvs[0]?.create_revision;
    const before = await born();
    const answering = collect(client.generate(50));
    await sleep(200);
    await raw.leaseClient.leaseRevoke({ ID: String(served.instance.id) });
    expect(await answering).toHaveLength(50);
    await expect.poll(born, { timeout: 5_000 }).not.toBeOneOf([undefined, before]);
    await expect.poll(() => client.instances.map(({ id }) => id), { timeout: 5_000 }).toEqual([served.instance.id]);
    expect(await collect(client.generate(2))).toEqual([0, 1]);
  });
});
