import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { collect } from '../async/pipe.ts';
import { mem } from '../discovery/mem/index.ts';
import { DynamoError } from '../error.ts';
import { DistributedRuntime } from '../runtime.ts';
import { Context } from './context.ts';
import type { Handler } from './handler.ts';

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';

test('stop is a stop alone, kill is both, and the reason tells which', () => {
  const stopped = new Context();
  stopped.stop();
  expect([stopped.stopped, stopped.killed]).toEqual([true, false]);
  expect(stopped.signal.reason).toMatchObject({ code: 'cancelled', data: { kind: 'stop' } });
  stopped.kill();
  expect(stopped.killed).toBe(true);
  expect(stopped.signal.reason).toMatchObject({ data: { kind: 'stop' } });
  expect(stopped.killSignal.reason).toMatchObject({ data: { kind: 'kill' } });

  const killed = new Context();
  let seen: boolean | undefined;
  killed.signal.addEventListener('abort', () => (seen = killed.killed));
  killed.kill();
  expect([killed.stopped, seen]).toEqual([true, true]);
  expect(killed.signal.reason).toMatchObject({ data: { kind: 'kill' } });
});

test('stop and kill pass down to children, which keep the id, and not up or to detached ones', () => {
  const root = new Context({ id: 'r1', metadata: { tier: 'gold' } });
  const child = root.child();
  const grandchild = child.child();
  const apart = root.detached();
  expect([child.id, grandchild.id, grandchild.metadata]).toEqual(['r1', 'r1', { tier: 'gold' }]);
  expect(apart.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4/);
  child.stop();
  expect([root.stopped, child.stopped, grandchild.stopped]).toEqual([false, true, true]);
  root.kill();
  expect([child.killed, grandchild.killed, apart.stopped]).toEqual([true, true, false]);
  expect(grandchild.signal.reason).toMatchObject({ data: { kind: 'stop' } });
});

test('a disposed child is no longer reached', () => {
  const root = new Context();
  const child = root.child();
  child[Symbol.dispose]();
  root.kill();
  expect([child.stopped, child.killed]).toEqual([false, false]);
});

test('a context of a handler follows its signal, tells stop from kill and leaves no listener', () => {
  const reasons = {
    stop: new DynamoError('cancelled', 'x', { data: { kind: 'stop' } }),
    kill: new DynamoError('cancelled', 'x', { data: { kind: 'kill' } }),
  };
  for (const kind of ['stop', 'kill'] as const) {
    const abort = new AbortController();
    const context = Context.from({ id: 'h', signal: abort.signal, metadata: { a: 'b' } });
    const disposed = Context.from({ id: 'h', signal: abort.signal, metadata: {} });
    disposed[Symbol.dispose]();
    expect(getEventListeners(abort.signal, 'abort')).toHaveLength(1);
    abort.abort(reasons[kind]);
    expect([context.stopped, context.killed, context.signal.reason]).toEqual([true, kind === 'kill', reasons[kind]]);
    expect([disposed.stopped, getEventListeners(abort.signal, 'abort').length]).toEqual([false, 0]);
    expect(Context.from({ id: 'h', signal: abort.signal, metadata: {} }).killed).toBe(kind === 'kill');
  }
});

test('a trace keeps its id and flags, gets a span of its own and goes on to the next hop', () => {
  const context = new Context({ id: 'r', traceparent, tracestate: 'v=1' });
  expect(context.trace).toMatchObject({ traceId: '4bf92f3577b34da6a3ce929d0e0e4736', parentSpanId: '00f067aa0ba902b7', flags: '01' });
  expect(context.trace?.spanId).toMatch(/^[0-9a-f]{16}$/);
  expect(context.traceHeaders()).toEqual({
    traceparent: `00-4bf92f3577b34da6a3ce929d0e0e4736-${context.trace?.spanId}-01`,
    tracestate: 'v=1',
    'request-id': 'r',
  });
  const child = context.child();
  expect(child.trace).toMatchObject({ traceId: context.trace?.traceId, parentSpanId: context.trace?.spanId });
  expect(child.traceHeaders()['tracestate']).toBe('v=1');
});

test.each([
  ['no trace', undefined],
  ['zeros', '00-00000000000000000000000000000000-00f067aa0ba902b7-01'],
  ['zero span', '00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01'],
  ['version ff', `ff${traceparent.slice(2)}`],
  ['more than version 00 has', `${traceparent}-x`],
  ['upper case', traceparent.toUpperCase()],
  ['text', 'hello'],
])('%s is no trace', (_name, text) => {
  const context = new Context(text === undefined ? {} : { traceparent: text });
  expect([context.trace, context.traceparent, context.traceHeaders()]).toEqual([undefined, undefined, {}]);
});

test("a proxy's name for the request goes on, with a trace and without", () => {
  expect(new Context({ id: 'r', requestId: 'x1' }).traceHeaders()).toEqual({ 'x-request-id': 'x1' });
  const context = Context.read({ id: 'r', metadata: {}, headers: { traceparent, 'x-request-id': 'x1', other: 'no' } });
  expect(context.child().traceHeaders()).toMatchObject({ 'request-id': 'r', 'x-request-id': 'x1', traceparent: expect.stringContaining('-01') });
});

test('a span that a tracer has made is the one that goes on', () => {
  const context = new Context({ traceparent, spanId: '1234567890abcdef' });
  expect(context.traceparent).toBe('00-4bf92f3577b34da6a3ce929d0e0e4736-1234567890abcdef-01');
});

test('a kill after a stop is followed through a handler, and disposing lets go of both signals', () => {
  const [stop, kill] = [new AbortController(), new AbortController()];
  const handler = { id: 'h', signal: stop.signal, killSignal: kill.signal, metadata: {} };
  const context = Context.from(handler);
  const disposed = Context.from(handler);
  disposed[Symbol.dispose]();
  stop.abort(new DynamoError('cancelled', 'x', { data: { kind: 'stop' } }));
  expect([context.stopped, context.killed]).toEqual([true, false]);
  const late = Context.from(handler);
  kill.abort(new DynamoError('cancelled', 'y', { data: { kind: 'kill' } }));
  expect([context.killed, late.stopped, late.killed, disposed.stopped]).toEqual([true, true, true, false]);
  expect([...getEventListeners(stop.signal, 'abort'), ...getEventListeners(kill.signal, 'abort')]).toEqual([]);
});

test('a later version of the header is read as far as we know it', () => {
  expect(new Context({ traceparent: `cc${traceparent.slice(2)}-what` }).trace?.flags).toBe('01');
});

/** Two endpoints in a row: the first answers with what the second does, in the context of its own request. */
async function twoHops(last: Handler<null, unknown>) {
  const stack = new AsyncDisposableStack();
  const runtime = stack.use(await DistributedRuntime.connect({ discovery: mem() }));
  stack.use(await runtime.serve<null, unknown>('demo.back.generate', last));
  const back = await runtime.client<null, unknown>('demo.back.generate');
  stack.use(await runtime.serve<null, unknown>('demo.front.generate', (request, context) => back.generate(request, { context })));
  const front = await runtime.client<null, any>('demo.front.generate');
  await Promise.all([front.ready(), back.ready()]);
  return { front, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test('over two hops the id is kept, and a kill of the first reaches the last', async () => {
  const last = Promise.withResolvers<{ id: string; metadata: unknown }>();
  const killed = Promise.withResolvers<unknown>();
  await using at = await twoHops(async function* (_request, context) {
    last.resolve({ id: context.id, metadata: context.metadata });
    context.signal.addEventListener('abort', () => killed.resolve(context.signal.reason), { once: true });
    for (let i = 0; !context.signal.aborted; i++) {
      yield i;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  const context = new Context({ id: 'my-ctx', metadata: { tier: 'gold' } });
  const reading = (async () => {
    for await (const item of at.front.generate(null, context.callOptions())) if (item === 3) context.kill();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  expect(await last.promise).toEqual({ id: 'my-ctx', metadata: { tier: 'gold' } });
  expect(await killed.promise).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
});

test('over two hops a stop arrives as a stop, and a second abort as a kill, also where the stop was not heeded', async () => {
  const seen: unknown[] = [];
  const begun = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<void>();
  await using at = await twoHops(async function* (_request, { signal, killSignal }) {
    signal.addEventListener('abort', () => seen.push((signal.reason as DynamoError).data['kind']), { once: true });
    begun.resolve();
    yield 1;
    await new Promise((resolve) => killSignal.addEventListener('abort', resolve, { once: true }));
    seen.push((killSignal.reason as DynamoError).data['kind']);
    ended.resolve();
  });
  const context = new Context();
  const reading = collect(at.front.generate(null, { context }));
  await begun.promise;
  context.stop();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled', data: { kind: 'stop' } });
  await expect.poll(() => seen).toEqual(['stop']);
  context.kill();
  await ended.promise;
  expect(seen).toEqual(['stop', 'kill']);
});

test('over two hops a trace is one, and each hop is below the one before', async () => {
  await using at = await twoHops(async function* (_request, context) {
    yield context.traceHeaders();
  });
  const headers = { traceparent, tracestate: 'v=1', 'x-request-id': 'x1' };
  const [last] = await collect(at.front.generate(null, { id: 'r', headers }));
  expect(last).toEqual({
    traceparent: expect.stringMatching(/^00-4bf92f3577b34da6a3ce929d0e0e4736-[0-9a-f]{16}-01$/),
    tracestate: 'v=1',
    'request-id': 'r',
    'x-request-id': 'x1',
  });
  expect(last.traceparent).not.toContain('00f067aa0ba902b7');
  const [untraced] = await collect(at.front.generate(null));
  expect(untraced).toEqual({});
});
