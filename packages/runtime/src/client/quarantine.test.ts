import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { collect } from '../async/pipe.ts';
import { mem, MemStore } from '../discovery/mem/index.ts';
import type { DynamoErrorCode } from '../error.ts';
import { silentLogger } from '../log.ts';
import { DistributedRuntime } from '../runtime.ts';
import { encodeItem, finalFrame } from '../wire/annotated.ts';
import { codecs } from '../wire/codec.ts';
import { encodePrologue, sentinel } from '../wire/control.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import { encodeTwoPart } from '../wire/two-part.ts';
import { InstanceSet } from './instances.ts';
import { bareWorker, type BareRequest, started } from './testing/bare-worker.ts';
import { instanceOf, stubWire } from './testing/wire-stub.ts';
import { openEndpointClient } from './client.ts';
import type { CallOptions } from './types.ts';

beforeEach(() => {
  vi.stubEnv('DYN_TCP_RESPONSE_STREAM_HOST', '127.0.0.1');
  vi.stubEnv('DYN_RUNTIME_INHIBITED_DURATION_SECS', '60');
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

const item = (value: unknown): Uint8Array => encodeTwoPart({ body: encodeItem(value, 'msgpack') });
const ending = [encodeTwoPart({ body: finalFrame('msgpack') }), encodeTwoPart({ header: sentinel })];
const accept =
  (...frames: Uint8Array[]) =>
  (request: BareRequest): void => {
    request.ack();
    void request.home(...frames);
  };
const errorItem = (error: object): ((request: BareRequest) => void) =>
  accept(started, encodeTwoPart({ body: codecs.msgpack.encode({ data: { event: 'error', error }, complete_final: false }) }), ...ending);
const short = { connectMs: 2_000, ackMs: 150, callHomeMs: 100, prologueMs: 100 };

interface Case {
  readonly what: string;
  readonly does: (request: BareRequest) => unknown;
  readonly code: DynamoErrorCode;
  readonly call?: CallOptions;
}

const of = (error_type: unknown, code: DynamoErrorCode): Case => ({
  what: `an error item of type ${JSON.stringify(error_type)}`,
  does: errorItem({ error_type, message: 'x' }),
  code,
});
const behind = (error_type: unknown): Case => ({
  what: `an error item with ${JSON.stringify(error_type)} as its cause`,
  does: errorItem({ error_type: 'Unknown', message: 'x', caused_by: { error_type, message: 'y' } }),
  code: 'unknown',
});

const quarantining: Case[] = [
  { what: 'a connection closed before the acknowledgement', does: ({ socket }) => socket.destroy(), code: 'disconnected' },
  { what: 'no acknowledgement in time', does: () => {}, code: 'connection_timeout' },
  { what: 'a refusal as unavailable', does: ({ ack }) => ack('Server unavailable: unknown endpoint path'), code: 'unavailable' },
  { what: 'no call-home in time', does: ({ ack }) => ack(), code: 'connection_timeout' },
  {
    what: 'a bad handshake',
    does: ({ ack, control, home }) => {
      ack();
      Object.assign(control.response, { subject: 'another' });
      void home(started, ...ending);
    },
    code: 'connection_timeout',
  },
  { what: 'an error prologue', does: accept(encodeTwoPart({ header: encodePrologue('no') })), code: 'unavailable' },
  { what: 'an item for a prologue', does: accept(item(1)), code: 'unavailable' },
  { what: 'no prologue in time', does: accept(), code: 'connection_timeout' },
  {
    what: 'a close before the prologue',
    does: ({ ack, home }) => {
      ack();
      void home().then((socket) => socket.end());
    },
    code: 'disconnected',
  },
  {
    what: 'a truncated stream',
    does: ({ ack, home }) => {
      ack();
      void home(started, item(1)).then((socket) => socket.end());
    },
    code: 'stream_incomplete',
  },
  { what: 'the sentinel without the final', does: accept(started, ending[1]!), code: 'stream_incomplete' },
  { what: 'no item in time', does: accept(started), code: 'response_timeout', call: { idleMs: 100 } },
  of('CannotConnect', 'cannot_connect'),
  of('Disconnected', 'disconnected'),
  of('ConnectionTimeout', 'connection_timeout'),
  of('ResponseTimeout', 'response_timeout'),
  of('WorkerUnavailable', 'worker_unavailable'),
  of({ Backend: 'EngineShutdown' }, 'engine_shutdown'),
  of({ Backend: 'StreamIncomplete' }, 'stream_incomplete'),
  behind('CannotConnect'),
  behind('WorkerUnavailable'),
  behind({ Backend: 'EngineShutdown' }),
];

const harmless: Case[] = [
  of('Unknown', 'unknown'),
  of('InvalidArgument', 'invalid_argument'),
  of('Cancelled', 'cancelled'),
  of('ResourceExhausted', 'resource_exhausted'),
  of('WorkerOverloaded', 'worker_overloaded'),
  of('Unavailable', 'unavailable'),
  ...(
    [
      ['Unknown', 'unknown'],
      ['InvalidArgument', 'invalid_argument'],
      ['CannotConnect', 'cannot_connect'],
      ['Disconnected', 'disconnected'],
      ['ConnectionTimeout', 'connection_timeout'],
      ['ResponseTimeout', 'response_timeout'],
      ['Cancelled', 'cancelled'],
    ] as const
  ).map(([type, code]) => of({ Backend: type }, code)),
  behind({ Backend: 'Disconnected' }),
  { what: "the caller's own limit on the call", does: accept(started), code: 'deadline_exceeded', call: { timeoutMs: 100 } },
  { what: 'a refusal of another kind', does: ({ ack }) => ack('Invalid request: nonsense'), code: 'unavailable' },
];

async function open(does: Case['does']) {
  const stack = new AsyncDisposableStack();
  const store = new MemStore();
  const discovery = stack.use(mem(store));
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem(store), timeouts: short }));
  const worker = stack.use(await bareWorker(discovery, { id: 1n, onRequest: does }));
  const client = await runtime.client('demo.backend.generate');
  await client.ready();
  const call = (options?: CallOptions): Promise<unknown> =>
    collect(client.generate(null, options)).then(
      () => 'done',
      (error: unknown) => error,
    );
  return { client, call, worker, discovery, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
const nobody = { code: 'unavailable', message: expect.stringContaining('No workers available') };

describe('what keeps an instance out of routing (spec runtime-wire 10)', () => {
  test.each(quarantining.map((row) => [row.what, row] as const))('%s does, and not for who asks for it by name', async (_what, row) => {
    await using at = await open(row.does);
    expect(await at.call(row.call)).toMatchObject({ code: row.code });
    expect(await at.call(row.call)).toMatchObject(nobody);
    expect(at.client.instances.map(({ id }) => id)).toEqual([1n]);
    const direct = await at.call({ ...row.call, instance: 1n });
    expect(direct).toMatchObject({ code: row.code });
    expect(direct).not.toMatchObject(nobody);
    expect(at.worker.requests).toHaveLength(2);
  });

  test('an address where nobody listens does', async () => {
    await using at = await open(() => {});
    await at.worker[Symbol.asyncDispose]();
    await using _dead = await at.discovery.put(encodeInstance({ ...instanceOf(1n), transport: { tcp: '127.0.0.1:1/path' } }));
    await expect.poll(() => at.client.instances[0]?.transport).toEqual({ tcp: '127.0.0.1:1/path' });
    expect(await at.call()).toMatchObject({ code: 'cannot_connect' });
    expect(await at.call()).toMatchObject(nobody);
    expect(await at.call({ instance: 1n })).toMatchObject({ code: 'cannot_connect' });
  });

  test.each(harmless.map((row) => [row.what, row] as const))('%s does not', async (_what, row) => {
    await using at = await open(row.does);
    for (let i = 0; i < 2; i++) expect(await at.call(row.call)).toMatchObject({ code: row.code });
    expect(at.worker.requests).toHaveLength(2);
  });

  test('a caller that stops, and one that leaves, does not', async () => {
    await using at = await open(accept(started, item(1)));
    const abort = new AbortController();
    for await (const _ of at.client.generate(null)) break;
    const stopped = (async () => {
      for await (const _ of at.client.generate(null, { signal: abort.signal })) abort.abort();
    })();
    await expect(stopped).rejects.toMatchObject({ code: 'cancelled' });
    for await (const _ of at.client.generate(null)) break;
    expect(at.worker.requests).toHaveLength(3);
  });
});

describe('how it comes back', () => {
  async function set(quarantineMs = 5_000) {
    vi.useFakeTimers({ toFake: ['Date'], now: 1_000_000 });
    const stack = new AsyncDisposableStack();
    const discovery = stack.use(mem(new MemStore()));
    const instances = stack.use(
      new InstanceSet(discovery, { namespace: 'demo', component: 'backend', endpoint: 'generate' }, { quarantineMs, log: silentLogger }),
    );
    const put = async (id: bigint): Promise<AsyncDisposable> => {
      const count = instances.all.length;
      const record = await discovery.put(encodeInstance(instanceOf(id)));
      await vi.waitUntil(() => instances.all.length === count + 1);
      return record;
    };
    const routable = (): bigint[] => instances.routable().candidates.map(({ id }) => id);
    const pass = (ms: number): void => void vi.setSystemTime(Date.now() + ms);
    return { instances, put, routable, pass, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  test('at the next tick, and ticks are counted from the last change of discovery', async () => {
    await using at = await set();
    await at.put(1n);
    at.pass(1_500);
    at.instances.quarantine(1n);
    expect(at.routable()).toEqual([]);
    at.pass(3_400);
    expect(at.routable()).toEqual([]);
    at.pass(100);
    expect(at.routable()).toEqual([1n]);
    at.pass(8_700);
    at.instances.quarantine(1n);
    at.pass(1_200);
    expect(at.routable()).toEqual([]);
    at.pass(100);
    expect(at.routable()).toEqual([1n]);
  });

  test('at once when an instance joins or leaves', async () => {
    await using at = await set();
    await at.put(1n);
    at.instances.quarantine(1n);
    expect(at.routable()).toEqual([]);
    const second = await at.put(2n);
    expect(at.routable()).toEqual([1n, 2n]);
    at.instances.quarantine(1n);
    expect(at.routable()).toEqual([2n]);
    await second[Symbol.asyncDispose]();
    await vi.waitUntil(() => at.instances.all.length === 1);
    expect(at.routable()).toEqual([1n]);
  });

  test('a length of 0 keeps nobody out', async () => {
    await using at = await set(0);
    await at.put(1n);
    at.instances.quarantine(1n);
    at.instances.overload(1n);
    expect(at.routable()).toEqual([1n]);
    expect(at.instances.isOverloaded(1n)).toBe(false);
  });

  test('an overloaded instance is told apart from none, and its mark outlives changes of discovery and passes with time', async () => {
    await using at = await set();
    await at.put(1n);
    at.instances.overload(1n);
    expect(at.instances.routable()).toEqual({ candidates: [], overloaded: true });
    await at.put(2n);
    expect(at.routable()).toEqual([2n]);
    expect(at.instances.isOverloaded(1n)).toBe(true);
    at.pass(5_000);
    expect(at.routable()).toEqual([1n, 2n]);
    expect(at.instances.isOverloaded(1n)).toBe(false);
  });
});

test('an instance that leaves while a call is on its way to it fails the call at once, and nothing is sent', async () => {
  await using stage = stubWire(() => 'silence');
  const record = await stage.put(1n);
  const gate = Promise.withResolvers<void>();
  const responses = async () => {
    await gate.promise;
    return stage.parts.responses();
  };
  await using client = openEndpointClient({ ...stage.parts, responses }, 'demo.backend.generate');
  await client.ready();
  const failed = expect(collect(client.generate(null))).rejects.toMatchObject({ code: 'disconnected' });
  await record[Symbol.asyncDispose]();
  await expect.poll(() => client.instances).toEqual([]);
  gate.resolve();
  await failed;
  expect(stage.sent).toEqual([]);
  const again = await stage.put(1n);
  await client.ready();
  const abort = new AbortController();
  const pending = collect(client.generate(null, { signal: abort.signal })).catch(() => {});
  await expect.poll(() => stage.sent).toEqual([1n]);
  abort.abort();
  await pending;
  await again[Symbol.asyncDispose]();
});
