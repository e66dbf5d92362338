import { VirtualConnectorClient, VirtualConnectorCoordinator } from '@dynamo/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { missing, startEtcd, type TestServer } from '../../packages/runtime/src/testing/servers.ts';
import { findPython, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
const reason = 'missing' in found ? found.missing : missing('etcd');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

describe.skipIf(reason !== undefined)('the virtual connector of planners', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let env: Record<string, string>;
  beforeAll(async () => {
    server = stack.use(await startEtcd());
    env = { DYN_DISCOVERY_BACKEND: 'etcd', ETCD_ENDPOINTS: server.url };
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  });
  afterAll(async () => {
    await stack.disposeAsync();
    vi.unstubAllEnvs();
  });

  test('the real coordinator plans, our client acknowledges', async () => {
    await using planner = startPeer(python, 'py_connector.py', { args: ['plan', 'theirs', '[[1,null],[2,3],[2,3],[0,0]]'], env });
    await using runtime = await DistributedRuntime.connect();
    const client = new VirtualConnectorClient(runtime, { namespace: 'theirs' });
    const heard: unknown[] = [];
    for (let round = 0; round < 3; round++) {
      await client.wait();
      const decision = await client.get();
      heard.push(decision);
      await client.complete(decision);
    }
    expect(heard).toEqual([
      { prefill: 1, decode: null, id: 0 },
      { prefill: 2, decode: 3, id: 1 },
      { prefill: 0, decode: 0, id: 2 },
    ]);
    await expect.poll(() => planner.lines.at(-1)?.['event'], { timeout: 20_000 }).toBe('end');
    expect(planner.lines.filter(({ event }) => event === 'done').map(({ state }) => state)).toEqual([
      [1, -1, 0],
      [2, 3, 1],
      [2, 3, 1],
      [0, 0, 2],
    ]);
    // What the real coordinator has left, a coordinator of ours goes on from.
    await using next = await VirtualConnectorCoordinator.open(runtime, { namespace: 'theirs' });
    expect(next.readState()).toEqual({ prefill: 0, decode: 0, id: 2 });
    await expect.poll(() => next.isScalingReady()).toBe(true);
    expect(await next.updateScalingDecision({ decode: 1 })).toBe(true);
    expect(await client.get()).toEqual({ prefill: 0, decode: 1, id: 3 });
  });

  test('our coordinator plans, the real client acknowledges', async () => {
    await using runtime = await DistributedRuntime.connect();
    await using coordinator = await VirtualConnectorCoordinator.open(runtime, { namespace: 'ours', checkIntervalMs: 1_000, maxWaitMs: 60_000 });
    await using deployment = startPeer(python, 'py_connector.py', { args: ['deploy', 'ours', '3'], env });
    for (const counts of [{ prefill: 4 }, { decode: 5 }, { prefill: 1, decode: 0 }]) {
      expect(await coordinator.updateScalingDecision(counts)).toBe(true);
      await coordinator.waitForScalingCompletion();
      expect(coordinator.isScalingReady()).toBe(true);
    }
    await expect.poll(() => deployment.lines.at(-1)?.['event'], { timeout: 20_000 }).toBe('end');
    expect(deployment.lines.filter(({ event }) => event === 'heard').map(({ state }) => state)).toEqual([
      [4, -1, 0],
      [4, 5, 1],
      [1, 0, 2],
    ]);
  });
});
