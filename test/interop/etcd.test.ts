import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, DistributedRuntime } from '@dynamo/runtime';
import { collect } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missing, startEtcd, type TestServer } from '../../packages/runtime/src/testing/servers.ts';
import { callFromPython, findPython, type Peer, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
const reason = 'missing' in found ? found.missing : missing('etcd');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('found through etcd', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let env: Record<string, string>;
  beforeAll(async () => {
    server = stack.use(await startEtcd());
    const stage = stack.use(await scene());
    env = { ...stage.env, DYN_DISCOVERY_BACKEND: 'etcd', ETCD_ENDPOINTS: server.url };
    Object.assign(process.env, env, { DYN_RUNTIME_INHIBITED_DURATION_SECS: '0' });
  });
  afterAll(() => stack.disposeAsync());

  describe('our client, the real Python worker', () => {
    let runtime: DistributedRuntime;
    let client: Client<Record<string, unknown>, Record<string, unknown>>;
    let worker: Peer;
    beforeAll(async () => {
      worker = stack.use(startPeer(python, 'py_worker.py', { args: [], env }));
      runtime = stack.use(await DistributedRuntime.connect());
      client = await runtime.client('demo.backend.generate');
      await client.ready();
    });

    test('it is found under its own id and answers', async () => {
      const start = worker.lines.find((line) => line['event'] === 'start');
      expect(client.instances.map(({ id }) => id.toString(16))).toEqual([start?.['hex']]);
      expect(await collect(client.generate({ op: 'count', n: 100 }))).toEqual(Array.from({ length: 100 }, (_, i) => ({ i })));
    });

    test('etcd is killed and started again: both sides go on, and one that ends is seen to go', async () => {
      await server.kill();
      await sleep(500);
      expect(await collect(client.generate({ op: 'count', n: 3 }))).toHaveLength(3);
      await server.start();
      await sleep(1_000);
      expect(await collect(client.generate({ op: 'count', n: 3 }))).toHaveLength(3);
      await using second = startPeer(python, 'py_worker.py', { args: [], env });
      await expect.poll(() => client.instances.length, { timeout: 20_000 }).toBe(2);
      second.child.kill('SIGTERM');
      await second.ended;
      await expect.poll(() => client.instances.length, { timeout: 5_000 }).toBe(1);
      worker.child.kill('SIGTERM');
      await worker.ended;
      await expect.poll(() => client.instances.length, { timeout: 5_000 }).toBe(0);
    });
  });

  describe('the real Python client, our worker', () => {
    let worker: DistributedRuntime;
    let id: bigint;
    beforeAll(async () => {
      process.env['ETCD_LEASE_TTL'] = '3';
      worker = stack.use(await DistributedRuntime.connect());
      const served = await worker.serve<{ n: number }, unknown>('demo.ours.generate', async function* ({ n }) {
        for (let i = 0; i < n; i++) yield { i };
      });
      id = served.instance.id;
    });
    const call = (...args: string[]): Promise<Record<string, unknown>[]> => callFromPython(python, { args: ['demo.ours.generate', ...args], env });

    test.each(['random', 'direct'])('it is found and answers: %s', async (mode) => {
      const lines = await call(mode, '{"n":3}');
      expect(lines.flatMap((line) => ('item' in line ? [line['item']] : []))).toEqual([{ i: 0 }, { i: 1 }, { i: 2 }]);
      expect(lines.at(-1)).toMatchObject({ end: 'ok', items: 3 });
      expect((lines[0]?.['instances'] as string[][])[0]?.[0]).toMatch(new RegExp(`${id}$`));
    });

    test('it is seen to go with its lease, to come back under the same id, and to leave', async () => {
      await using watcher = startPeer(python, 'py_client.py', { args: ['demo.ours.generate', 'watch', '--seconds', '40'], env });
      // The lines are read with rounded numbers: this tells ids apart that were drawn at random.
      const seen = (): unknown[] => watcher.lines.map((line) => line['ids']).filter((ids, index) => index > 0 || (ids as []).length > 0);
      const ours = [Number(id)];
      await expect.poll(seen, { timeout: 20_000 }).toEqual([ours]);
      const revoked = await fetch(`${server.url}/v3/lease/revoke`, { method: 'POST', body: JSON.stringify({ ID: String(id) }) });
      expect(revoked.status).toBe(200);
      await expect.poll(seen, { timeout: 10_000 }).toEqual([ours, [], ours]);
      expect((await call('random', '{"n":1}')).at(-1)).toMatchObject({ end: 'ok', items: 1 });
      await worker[Symbol.asyncDispose]();
      await expect.poll(seen, { timeout: 5_000 }).toEqual([ours, [], ours, []]);
    });
  });
});
