import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime, DynamoError } from '@dynamo/runtime';
import { collect } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { missing, startNats, type TestServer } from '../../packages/runtime/src/testing/servers.ts';
import { findPython, scene, startPeer } from './python.ts';

const found = findPython();
const reason = 'missing' in found ? found.missing : missing('nats-server');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('requests over NATS', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let stage: { python: string; env: Record<string, string> };
  beforeAll(async () => {
    server = stack.use(await startNats());
    const { env } = stack.use(await scene());
    stage = { python: 'path' in found ? found.path : '', env: { ...env, DYN_REQUEST_PLANE: 'nats', NATS_SERVER: server.url } };
  });
  afterAll(() => stack.disposeAsync());

  describe('one fleet, both planes', () => {
    test('our client streams from real workers on either', async () => {
      const { python, env } = stage;
      Object.assign(process.env, env);
      await using _tcp = startPeer(python, 'py_worker.py', { args: ['demo.mixed.generate'], env: { ...env, DYN_REQUEST_PLANE: 'tcp' } });
      await using _nats = startPeer(python, 'py_worker.py', { args: ['demo.mixed.generate'], env });
      await using runtime = await DistributedRuntime.connect();
      const client = await runtime.client<unknown, unknown>('demo.mixed.generate');
      const instances = await client.ready({ min: 2 });
      expect(instances.map(({ transport }) => Object.keys(transport)[0]).toSorted()).toEqual(['nats', 'tcp']);
      for (let i = 0; i < 10; i++) expect(await collect(client.generate({ op: 'count', n: 3 }))).toHaveLength(3);
    });
  });

  describe('a server that restarts', () => {
    test('every call of ours ends, and the next one is answered', async () => {
      const { python, env } = stage;
      Object.assign(process.env, env);
      await using _worker = startPeer(python, 'py_worker.py', { args: ['demo.restart.generate'], env });
      await using runtime = await DistributedRuntime.connect();
      const client = await runtime.client<unknown, unknown>('demo.restart.generate');
      await client.ready();
      const calls: Promise<unknown>[] = [];
      let calling = true;
      const load = (async () => {
        while (calling) {
          calls.push(collect(client.generate({ op: 'count', n: 3 })).catch((error: unknown) => error));
          await sleep(10);
        }
      })();
      await sleep(300);
      await server.kill();
      await sleep(500);
      await server.start();
      await sleep(3_000);
      calling = false;
      await load;
      const results = await Promise.all(calls);
      for (const result of results) if (!Array.isArray(result)) expect(DynamoError.is(result)).toBe(true);
      expect(await collect(client.generate({ op: 'count', n: 3 }))).toHaveLength(3);
    });
  });
});
