import { mkdtemp, rm } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DistributedRuntime, type LogFields } from '@dynamo/runtime';
import { type DiscoveryRecord, mem, MemStore } from '@dynamo/runtime/internal';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { missing, startEtcd } from '../../../runtime/src/testing/servers.ts';
import { VirtualConnectorClient } from './client.ts';
import { VirtualConnectorCoordinator } from './coordinator.ts';
import type { PlannerDecision } from './decision.ts';

const reason = missing('etcd');
if (reason !== undefined) console.warn(`skipped: ${reason}`);

interface Step {
  readonly op: string;
  readonly etcd?: Readonly<Record<string, string>>;
  readonly read_state?: readonly [number, number, number];
  readonly client_get?: readonly [number, number, number];
}
const vectors = JSON.parse(readFileSync(new URL('../../../../vectors/planner/virtual_connector.json', import.meta.url), 'utf8')) as {
  readonly prefix: string;
  readonly steps: readonly Step[];
  readonly client_wait_rules: readonly (readonly [string, string])[];
};

afterEach(() => void vi.unstubAllEnvs());
const stubbed = (variable: string, value: string): object => {
  vi.stubEnv(variable, value);
  return {};
};

/** Two runtimes that see each other, on each of the stores. */
const stores = {
  async mem() {
    const store = new MemStore();
    return { connect: () => DistributedRuntime.connect({ discovery: mem(store) }), async [Symbol.asyncDispose]() {} };
  },
  async file() {
    const root = await mkdtemp(join(tmpdir(), 'dynamo-connector-'));
    return {
      connect: () => DistributedRuntime.connect({ discovery: 'file', ...stubbed('DYN_FILE_KV', root) }),
      [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
    };
  },
  async etcd() {
    const server = await startEtcd();
    return {
      connect: () => DistributedRuntime.connect({ discovery: 'etcd', ...stubbed('ETCD_ENDPOINTS', server.url) }),
      [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
    };
  },
};

const tuple = ({ prefill, decode, id }: PlannerDecision): number[] => [prefill ?? -1, decode ?? -1, id ?? -1];
const step = (op: string): Step => {
  const found = vectors.steps.find((one) => one.op === op);
  if (found === undefined) throw new Error(`no step '${op}'`);
  return found;
};

for (const name of ['mem', 'file', 'etcd'] as const)
  describe.skipIf(name === 'etcd' && reason !== undefined)(`virtual connector on ${name}`, () => {
    test('the transcript of the real classes', async () => {
      await using store = await stores[name]();
      await using planner = await store.connect();
      await using deployment = await store.connect();
      const namespace = 'nsA';
      let now = 0;
      const options = { namespace, checkIntervalMs: 20, maxWaitMs: 3_000, maxRetries: 4, clock: () => now };
      const values = async (): Promise<Record<string, string>> =>
        Object.fromEntries(
          (await planner.discovery.list({ bucket: 'values', prefix: 'v1/nsA/planner' })).map(({ key, value }) => [
            key.slice(vectors.prefix.length),
            value,
          ]),
        );
      const coordinator = await VirtualConnectorCoordinator.open(planner, options);
      const client = new VirtualConnectorClient(deployment, { namespace });
      const check = async (op: string, who = coordinator): Promise<void> => {
        const { etcd, read_state: state, client_get: got } = step(op);
        if (etcd !== undefined) expect(await values()).toMatchObject(etcd);
        if (state !== undefined) expect(tuple(who.readState())).toEqual(state);
        if (got !== undefined) expect(tuple(await client.get())).toEqual(got);
      };
      await check('async_init');
      expect(await values()).toEqual({});
      await coordinator.waitForScalingCompletion();
      const pending = client.wait();
      expect(await coordinator.updateScalingDecision({ prefill: 1, decode: null })).toBe(true);
      await check('update_scaling_decision(1,null)');
      await pending;
      await client.wait();
      await coordinator.waitForScalingCompletion();
      expect(coordinator.isScalingReady()).toBe(false);
      expect(await coordinator.updateScalingDecision({ prefill: 2, decode: 3 })).toBe(false);
      await check('update_scaling_decision(2,3)');
      now += 3_200;
      expect(await coordinator.updateScalingDecision({ prefill: 2, decode: 3 })).toBe(true);
      await check('sleep 3.2 s; update_scaling_decision(2,3)');
      await client.complete(await client.get());
      await check('client.complete(get())');
      await expect.poll(() => coordinator.isScalingReady()).toBe(true);
      await coordinator.waitForScalingCompletion();
      expect(await coordinator.updateScalingDecision({ prefill: 2, decode: 3 })).toBe(false);
      expect(await coordinator.updateScalingDecision({ prefill: 2, decode: 4 })).toBe(true);
      await check('update_scaling_decision(2,4)');
      // The wait with an older acknowledgement: by our own rule it looks as often as without one, and returns.
      await coordinator.waitForScalingCompletion();
      expect(coordinator.isScalingReady()).toBe(false);
      await client.complete(await client.get());
      await using next = await VirtualConnectorCoordinator.open(planner, options);
      await check('client.complete(get()); new coordinator; async_init', next);
      expect(await next.updateScalingDecision({ prefill: null, decode: null })).toBe(false);
      expect(await next.updateScalingDecision({ prefill: 0, decode: 0 })).toBe(true);
      await check('new coordinator: update_scaling_decision(0,0)', next);
      await coordinator[Symbol.asyncDispose]();
    });

    test('when a client waits and when it does not', async () => {
      await using store = await stores[name]();
      await using planner = await store.connect();
      await using deployment = await store.connect();
      const set = (key: string, value: string): Promise<void> => planner.discovery.set({ bucket: 'values', key: `v1/${key}`, value });
      /** Whether a fresh client goes on waiting: it has seen everything that was written before when it sees a key that says so. */
      const outcome = async (namespace: string): Promise<string> => {
        const stop = new AbortController();
        const client = new VirtualConnectorClient(deployment, { namespace });
        const waited = client.wait({ signal: stop.signal }).then(
          () => 'returns',
          (error: Error & { code?: string }) => (error.code === 'cancelled' ? 'blocks' : error.message),
        );
        // On every store a watch begins with the picture: what is written afterwards must be seen as well.
        const seen = (async () => {
          for await (const change of deployment.discovery.watch({ bucket: 'values', prefix: `v1/${namespace}` }, { signal: stop.signal }))
            if (change.type === 'put' && change.record.key.endsWith('/marker')) return;
        })();
        await set(`${namespace}/planner/unrelated`, '1');
        let at = 0;
        const marking = setInterval(() => void set(`${namespace}/planner/marker`, String(at++)), 5);
        await seen;
        clearInterval(marking);
        const first = await Promise.race([waited, new Promise<undefined>((resolve) => setTimeout(resolve, 20, undefined))]);
        stop.abort();
        return first ?? (await waited);
      };
      const cases: [string, Record<string, string>, string][] = [
        ['decision_id absent', {}, 'blocks'],
        ['decision_id=0, no scaled_decision_id', { decision_id: '0' }, 'returns'],
        ['decision_id=0, scaled_decision_id=0', { decision_id: '0', scaled_decision_id: '0' }, 'blocks'],
        ['num_prefill_workers rewritten', { decision_id: '0', scaled_decision_id: '0', num_prefill_workers: '5' }, 'blocks'],
        ['decision_id=1, scaled=0', { decision_id: '1', scaled_decision_id: '0' }, 'returns'],
        ['scaled_decision_id=99', { decision_id: '0', scaled_decision_id: '99' }, 'blocks'],
        ['scaled_decision_id=abc', { decision_id: '0', scaled_decision_id: 'abc' }, 'returns'],
        ['decision_id=abc', { decision_id: 'abc' }, 'invalid digit found in string'],
        ['decision_id=-1', { decision_id: '-1' }, 'invalid digit found in string'],
      ];
      for (const [index, [rule, keys, wanted]] of cases.entries()) {
        expect(vectors.client_wait_rules.map(([text]) => text)).toContain(rule);
        for (const [key, value] of Object.entries(keys)) await set(`rule${index}/planner/${key}`, value);
        expect(await outcome(`rule${index}`), rule).toContain(wanted);
      }
      // An acknowledgement that is deleted: its writer leaves.
      await set('gone/planner/decision_id', '0');
      const writer = await store.connect();
      const client = new VirtualConnectorClient(writer, { namespace: 'gone' });
      await client.complete(await client.get());
      const waiting = new VirtualConnectorClient(deployment, { namespace: 'gone' }).wait();
      await writer[Symbol.asyncDispose]();
      await waiting;
    });

    test('what is no number, and an acknowledgement that is stale: an error, and nothing changes', async () => {
      await using store = await stores[name]();
      const warnings: LogFields[] = [];
      await using runtime = await store.connect();
      const host = {
        discovery: runtime.discovery,
        signal: runtime.signal,
        log: { debug() {}, info() {}, error() {}, warn: (fields: LogFields) => void warnings.push(fields) },
      };
      const client = new VirtualConnectorClient(host, { namespace: '' });
      const all = (): Promise<readonly DiscoveryRecord[]> => runtime.discovery.list({ bucket: 'values', prefix: 'v1//planner' });
      await using coordinator = await VirtualConnectorCoordinator.open(host, { namespace: '' });
      for (const wrong of [-1, 1.5, NaN, Infinity])
        await expect(coordinator.updateScalingDecision({ prefill: wrong, decode: 1 })).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await all()).toEqual([]);
      expect(tuple(coordinator.readState())).toEqual([-1, -1, -1]);

      await coordinator.updateScalingDecision({ decode: 1 });
      const old = await client.get();
      await client.complete(old);
      await expect.poll(() => coordinator.isScalingReady()).toBe(true);
      await coordinator.updateScalingDecision({ decode: 2 });
      await client.complete(await client.get());
      const before = await all();
      await expect(client.complete(old)).rejects.toMatchObject({ code: 'invalid_argument', data: { decision: 0, acknowledged: 1 } });
      expect(await all()).toEqual(before);

      await runtime.discovery.set({ bucket: 'values', key: 'v1//planner/foo', value: '5' });
      await runtime.discovery.set({ bucket: 'values', key: 'v1//planner/num_prefill_workers', value: 'abc' });
      await expect(client.get()).rejects.toThrow('invalid digit found in string');
      expect(warnings).toContainEqual({ key: 'v1//planner/foo' });
      await expect(VirtualConnectorCoordinator.open(host, { namespace: '' })).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(tuple(coordinator.readState())).toEqual([-1, 2, 1]);
    });

    test('a runtime that shuts down ends a wait', async () => {
      await using store = await stores[name]();
      const runtime = await store.connect();
      const waiting = new VirtualConnectorClient(runtime, { namespace: 'n' }).wait();
      const ended = expect(waiting).rejects.toMatchObject({ code: 'cancelled', message: 'VirtualConnectorClient.wait: Runtime shutdown' });
      await runtime[Symbol.asyncDispose]();
      await ended;
    });
  });
