import { expect, test } from 'vitest';
import { collect } from '../async/pipe.ts';
import { DynamoError } from '../error.ts';
import type { OutgoingRequest } from '../planes/request/request-plane.ts';
import { sessionOf } from './affinity.ts';
import { mem, MemStore } from '../discovery/mem/index.ts';
import { MemEvents, memEvents } from '../planes/events/mem/index.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import { type BoundCall, openEndpointClient } from './client.ts';
import { type Answer, instanceOf, sentTo, stubWire } from './testing/wire-stub.ts';
import type { CallOptions, ClientOptions, RoutePolicy } from './types.ts';

/** A client with affinity over three instances; `broken` ones refuse in a way that quarantines them, `failing` ones fail their requests. */
async function open(options: Partial<NonNullable<ClientOptions['affinity']>> & { policy?: RoutePolicy } = {}) {
  const broken = new Set<bigint>();
  const failing = new Set<bigint>();
  const answer = (request: OutgoingRequest): Answer =>
    broken.has(sentTo(request))
      ? new DynamoError('engine_shutdown', 'gone', { origin: 'backend' })
      : failing.has(sentTo(request))
        ? new DynamoError('unknown', 'RuntimeError', { origin: 'backend' })
        : [1];
  const stage = stubWire(answer);
  const { policy, ...affinity } = options;
  const client = openEndpointClient(stage.parts, 'demo.backend.generate', {
    affinity: { ttlMs: 60_000, ...affinity },
    ...(policy === undefined ? {} : { policy }),
  });
  const instances = new Map<bigint, AsyncDisposable>();
  for (const id of [1n, 2n, 3n]) instances.set(id, await stage.put(id));
  await client.ready({ min: 3 });
  const call = (options: CallOptions = {}) => collect(client.generate(null, options));
  const times = async (count: number, options: CallOptions): Promise<bigint[]> => {
    const first = stage.sent.length;
    for (let i = 0; i < count; i++) await call(options);
    return stage.sent.slice(first);
  };
  return {
    ...stage,
    client,
    broken,
    failing,
    call,
    times,
    leave: async (id: bigint) => {
      await instances.get(id)?.[Symbol.asyncDispose]();
      await expect.poll(() => client.instances.some((instance) => instance.id === id)).toBe(false);
    },
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await stage[Symbol.asyncDispose]();
    },
  };
}

test('a session stays where its first call went; calls without one go on walking', async () => {
  await using stage = await open();
  expect(await stage.times(6, { session: 's1' })).toEqual(Array(6).fill(1n));
  expect(await stage.times(2, {})).toEqual([2n, 3n]);
  expect(await stage.times(2, { session: 's2' })).toEqual([1n, 1n]);
  expect(await stage.times(2, { session: 's1' })).toEqual([1n, 1n]);
});

test.each([
  ['x-dynamo-session-id', true],
  ['x-claude-code-session-id', true],
  ['thread-id', true],
  ['x-session-id', true],
  ['session-id', false],
  ['x-parent-session-id', false],
  ['x-correlation-id', false],
] as const)('header %s binds: %s', async (header, binds) => {
  await using stage = await open();
  const picks = await stage.times(3, { headers: { [header]: 'h' } });
  expect(picks).toEqual(binds ? [1n, 1n, 1n] : [1n, 2n, 3n]);
});

test('the option wins over headers, headers over each other in their order, and all of them name one space', () => {
  const headers = { 'x-session-id': '4', 'thread-id': '3', 'x-claude-code-session-id': '2', 'x-dynamo-session-id': '1' };
  expect(sessionOf({ session: '0', headers })).toBe('0');
  expect(sessionOf({ headers })).toBe('1');
  expect(sessionOf({ headers: { 'x-session-id': '4', 'thread-id': '3' } })).toBe('3');
  expect([sessionOf({ session: '' }), sessionOf({ session: '  ' }), sessionOf({})]).toEqual([undefined, undefined, undefined]);
  expect(sessionOf({ session: 'x'.repeat(256) })).toHaveLength(256);
  for (const session of ['x'.repeat(257), 'é'.repeat(129)])
    expect(() => sessionOf({ session })).toThrow(
      expect.objectContaining({ code: 'invalid_argument', data: expect.objectContaining({ limit: 256 }) }),
    );
});

test('an instance that a first call demands is the one that the session keeps', async () => {
  await using stage = await open();
  await stage.call({ session: 's', instance: 3n });
  expect(await stage.times(2, { session: 's' })).toEqual([3n, 3n]);
  expect(await stage.times(1, { session: 's', instance: 3n })).toEqual([3n]);
});

test.each(['hard', 'soft'] as const)('%s: another instance than the bound one is refused, and the binding stays', async (mode) => {
  await using stage = await open({ mode });
  await stage.call({ session: 's' });
  await expect(stage.call({ session: 's', instance: 2n })).rejects.toMatchObject({ code: 'invalid_argument', data: { instance: 1n, pin: 2n } });
  expect(await stage.times(2, { session: 's' })).toEqual([1n, 1n]);
});

test.each(['hard', 'soft'] as const)('%s: one that leaves discovery is replaced at once, and the session stays there', async (mode) => {
  await using stage = await open({ mode });
  await stage.call({ session: 's' });
  await stage.leave(1n);
  const [next, ...more] = await stage.times(4, { session: 's' });
  expect(next).not.toBe(1n);
  expect(more).toEqual([next, next, next]);
});

test.each(['hard', 'soft'] as const)('%s: a failed request keeps the binding', async (mode) => {
  await using stage = await open({ mode });
  stage.failing.add(1n);
  await expect(stage.call({ session: 's' })).rejects.toMatchObject({ code: 'unknown' });
  stage.failing.clear();
  expect(await stage.times(2, { session: 's' })).toEqual([1n, 1n]);
});

test('hard: while the instance is quarantined the calls of its session fail, and go back to it afterwards', async () => {
  await using stage = await open({ mode: 'hard' });
  stage.broken.add(1n);
  await expect(stage.call({ session: 's' })).rejects.toMatchObject({ code: 'engine_shutdown' });
  stage.broken.clear();
  await expect(stage.call({ session: 's' })).rejects.toMatchObject({ code: 'unavailable', data: { session: 's', instance: 1n } });
  expect(await stage.times(1, { session: 'other' })).not.toEqual([1n]);
  // A change of discovery ends every quarantine.
  await stage.put(4n);
  await expect.poll(() => stage.client.instances.length).toBe(4);
  expect(await stage.times(2, { session: 's' })).toEqual([1n, 1n]);
});

test('soft: a quarantined instance is left, and the session keeps the next one', async () => {
  await using stage = await open({ mode: 'soft' });
  stage.broken.add(1n);
  await expect(stage.call({ session: 's' })).rejects.toMatchObject({ code: 'engine_shutdown' });
  stage.broken.clear();
  const [next, ...more] = await stage.times(3, { session: 's' });
  expect(next).not.toBe(1n);
  await stage.put(4n);
  await expect.poll(() => stage.client.instances.length).toBe(4);
  expect([...more, ...(await stage.times(1, { session: 's' }))]).toEqual([next, next, next]);
});

test('many first calls of one session at once go to one instance, also when the policy takes its time', async () => {
  let asked = 0;
  const slow: RoutePolicy = {
    async pick(_request, candidates) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return { instance: candidates[asked++ % candidates.length]!.id };
    },
  };
  await using stage = await open({ policy: slow });
  await Promise.all(Array.from({ length: 20 }, () => stage.call({ session: 's' })));
  expect(new Set(stage.sent).size).toBe(1);
});

test('a policy that could not choose binds nothing and holds up nobody', async () => {
  let failures = 2;
  const policy: RoutePolicy = {
    async pick(_request, candidates) {
      if (failures-- > 0) throw new DynamoError('unavailable', 'not yet');
      return { instance: candidates.at(-1)!.id };
    },
  };
  await using stage = await open({ policy });
  const outcomes = await Promise.allSettled(Array.from({ length: 4 }, () => stage.call({ session: 's' })));
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected']);
  expect(stage.sent).toEqual([3n, 3n]);
});

test('the policy keeps its books of calls that are bound', async () => {
  const log: string[] = [];
  const policy: RoutePolicy = {
    pick: (_request, candidates, call) => {
      const { id } = candidates[0]!;
      log.push(`pick ${candidates.length} ${String(call.instance)}`);
      return { instance: id, request: `for ${id}`, seen: (item) => log.push(`seen ${String(item)}`), done: () => log.push('done') };
    },
  };
  await using stage = await open({ policy });
  await stage.times(2, { session: 's' });
  expect(log).toEqual(['pick 3 undefined', 'seen 1', 'done', 'pick 1 1', 'seen 1', 'done']);
});

test.each([[0], [-1], [NaN], [31_536_000_001], ['4']] as const)('an idle time of %s is refused by name', (ttlMs) => {
  const open = () => openEndpointClient(stubWire(() => []).parts, 'demo.backend.generate', { affinity: { ttlMs: ttlMs as number } });
  expect(open).toThrow(expect.objectContaining({ code: 'invalid_argument', data: expect.objectContaining({ field: 'affinity.ttlMs' }) }));
});

test('clients of one endpoint that share their sessions go the same way', async () => {
  const store = new MemStore();
  const hub = new MemEvents();
  await using stack = new AsyncDisposableStack();
  const clients = [];
  for (let at = 0; at < 2; at++) {
    const stage = stack.use(stubWire(() => [1], {}));
    const parts = { ...stage.parts, discovery: stack.use(mem(store)), events: memEvents(hub) };
    const ranked: RoutePolicy = {
      pick: (_request, candidates, call) => ({ instance: call.instance ?? candidates[at]!.id, rank: (call as BoundCall).rank ?? at + 5 }),
    };
    const seen: (number | undefined)[] = [];
    const policy: RoutePolicy = {
      async pick(request, candidates, call) {
        const route = await ranked.pick(request, candidates, call);
        seen.push(route.rank);
        return route;
      },
    };
    const client = stack.use(
      openEndpointClient(parts, 'demo.backend.generate', { affinity: { ttlMs: 60_000 }, policy, sharesSessions: true, policyDecides: true }),
    );
    clients.push({ client, sent: stage.sent, seen });
  }
  const host = stack.use(mem(store));
  for (const id of [1n, 2n, 3n]) await host.put(encodeInstance(instanceOf(id)));
  const [first, second] = clients;
  for (const { client } of clients) await client.ready({ min: 3 });
  // Told twice: at dispatch and at the end. Whoever hears it here, the other client has heard it too.
  const told = memEvents(hub).subscribe({ namespace: 'demo', component: 'backend', endpoint: 'generate' }, 'session_affinity_events', {
    signal: AbortSignal.timeout(5_000),
  });
  const heard = (async () => {
    let events = 0;
    for await (const change of told) if (change.type === 'event' && ++events === 2) return;
  })();
  await collect(first!.client.generate(null, { session: 's' }));
  await heard;
  await new Promise((resolve) => setImmediate(resolve));
  await collect(second!.client.generate(null, { session: 's' }));
  expect([first!.sent, second!.sent, second!.seen]).toEqual([[1n], [1n], [5]]);
});
