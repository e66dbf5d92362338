import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { mem, MemStore } from './discovery/mem/index.ts';
import { type ConnectOptions, settle } from './options.ts';
import { MemEvents, memEvents } from './planes/events/mem/index.ts';
import { Listener, openDescriptors } from './planes/events/testing/listener.ts';
import { DistributedRuntime } from './runtime.ts';
import { missing, startNats } from './testing/servers.ts';
import { decodeEventChannel } from './wire/event-record.ts';

const scope = { namespace: 'demo', component: 'backend', endpoint: 'generate' };
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'events-'));
  vi.stubEnv('DYN_FILE_KV', folder);
  vi.stubEnv('DYN_EVENT_PLANE_HOST', '127.0.0.1');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

/** Two runtimes; what one publishes the other hears, until the publisher's runtime ends. */
async function exchange(options: () => ConnectOptions): Promise<void> {
  await using hearing = await DistributedRuntime.connect(options());
  const speaking = await DistributedRuntime.connect(options());
  await using listener = new Listener(hearing.events, scope, 'kv-events');
  const publisher = await speaking.events.publish(scope, 'kv-events');
  await listener.meet(publisher.id);
  for (let i = 0; i < 3; i++) publisher.publish(Buffer.from(`${i}`));
  await listener.until(() => listener.changes.length === 3);
  await speaking[Symbol.asyncDispose]();
  await listener.until(() => listener.words().at(-1) === 'left');
  expect(listener.words()).toEqual(['event 0 0', 'event 1 1', 'event 2 2', 'left']);
  await expect(speaking.events.publish(scope, 'kv-events')).rejects.toMatchObject({ code: 'unavailable' });
}

test('over ZMQ and files, as it is without any option', () => exchange(() => ({})));

test('over ZMQ and discovery in memory', async () => {
  const store = new MemStore();
  await exchange(() => ({ discovery: mem(store) }));
});

test('within the process', async () => {
  const hub = new MemEvents();
  await exchange(() => ({ discovery: 'mem', eventPlane: memEvents(hub) }));
});

test.skipIf(missing('nats-server') !== undefined)(`over NATS (${missing('nats-server') ?? 'installed'})`, async () => {
  await using server = await startNats();
  vi.stubEnv('NATS_SERVER', server.url);
  await exchange(() => ({ eventPlane: 'nats' }));
});

test('the record says where the publisher is, and goes with it', async () => {
  await using runtime = await DistributedRuntime.connect();
  const publisher = await runtime.events.publish(scope, 'kv-events');
  const [record] = await runtime.discovery.list({ bucket: 'v1/event_channels', prefix: 'namespace/demo' });
  expect(record?.key).toBe(`namespace/demo/component/backend/endpoint/generate/topic/kv-events/${publisher.id.toString(16)}`);
  expect(decodeEventChannel(record!)).toMatchObject({
    scope,
    publisher: publisher.id,
    transport: { kind: 'zmq', endpoint: expect.stringMatching(/^tcp:\/\/127\.0\.0\.1:\d+$/) },
  });
  await publisher[Symbol.asyncDispose]();
  expect(await runtime.discovery.list({ bucket: 'v1/event_channels' })).toEqual([]);
});

test('a runtime without events opens nothing for them', async () => {
  const before = openDescriptors();
  {
    await using runtime = await DistributedRuntime.connect({ discovery: 'mem', eventPlane: 'zmq' });
    expect(runtime.events.counts).toMatchObject({ received: 0 });
    runtime.events.subscribe(scope, 'never iterated', { signal: runtime.signal });
  }
  expect(openDescriptors()).toBeLessThanOrEqual(before);
});

test('the settings come from the variables of the real system', () => {
  expect(settle({}, {}).eventPlane).toBe('zmq');
  expect(settle({ discovery: 'mem' }, {}).eventPlane).toBe('mem');
  expect(settle({}, { DYN_EVENT_PLANE: 'nats' }).eventPlane).toBe('nats');
  expect(() => settle({}, { DYN_EVENT_PLANE: 'bogus' })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(settle({}, { DYN_EVENT_PLANE_HOST: 'h', DYN_ZMQ_EVENT_SUBSCRIBER_CHANNEL_CAPACITY: '7' }).events).toEqual({
    host: 'h',
    broker: undefined,
    capacity: 7,
  });
  expect(settle({}, {}).events.capacity).toBe(100_000);
  expect(settle({}, { DYN_ZMQ_BROKER_URL: 'xsub=a,xpub=b', DYN_ZMQ_BROKER_ENABLED: 'true' }).events.broker).toBe('xsub=a,xpub=b');
  expect(settle({}, { DYN_ZMQ_BROKER_ENABLED: 'True' }).events.broker).toBe('discover');
  expect(settle({}, { DYN_ZMQ_BROKER_ENABLED: '0' }).events.broker).toBeUndefined();
});
