import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { mem } from '../discovery/mem/index.ts';
import { DynamoError } from '../error.ts';
import { DistributedRuntime } from '../runtime.ts';
import { Context } from './context.ts';

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

test('a later version of the header is read as far as we know it', () => {
  expect(new Context({ traceparent: `cc${traceparent.slice(2)}-what` }).trace?.flags).toBe('01');
});

test('over two hops the id is kept, and a kill of the first reaches the last', async () => {
  await using runtime = await DistributedRuntime.connect({ discovery: mem() });
  const last = Promise.withResolvers<{ id: string; metadata: unknown }>();
  const killed = Promise.withResolvers<unknown>();
  await using _back = await runtime.serve<null, number>('demo.back.generate', async function* (_request, context) {
    last.resolve({ id: context.id, metadata: context.metadata });
    context.signal.addEventListener('abort', () => killed.resolve(context.signal.reason), { once: true });
    for (let i = 0; !context.signal.aborted; i++) {
      yield i;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  });
  await using back = await runtime.client<null, number>('demo.back.generate');
  await using _front = await runtime.serve<null, number>('demo.front.generate', async function* (request, handler) {
    using context = Context.from(handler);
    yield* back.generate(request, context.callOptions());
  });
  await using front = await runtime.client<null, number>('demo.front.generate');
  await Promise.all([front.ready(), back.ready()]);
  const context = new Context({ id: 'my-ctx', metadata: { tier: 'gold' } });
  const reading = (async () => {
    for await (const item of front.generate(null, context.callOptions())) if (item === 3) context.kill();
  })();
  await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
  expect(await last.promise).toEqual({ id: 'my-ctx', metadata: { tier: 'gold' } });
  expect(await killed.promise).toMatchObject({ code: 'cancelled', data: { kind: 'kill' } });
});
