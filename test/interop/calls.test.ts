import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, DistributedRuntime } from '@dynamo/runtime';
import { collect } from '@dynamo/runtime/internal';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callFromPython, findPython, type Peer, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${traceId}-00f067aa0ba902b7-01`;

describe.skipIf('missing' in found)('calls between ours and the real 1.6.1', () => {
  const stack = new AsyncDisposableStack();
  let env: Record<string, string>;
  let runtime: DistributedRuntime;
  let worker: Peer;
  let talk: Client<AsyncIterable<unknown>, any>;
  let single: Client<Record<string, unknown>, any>;
  beforeAll(async () => {
    ({ env } = stack.use(await scene()));
    Object.assign(process.env, env, { DYN_RUNTIME_INHIBITED_DURATION_SECS: '0' });
    // JSON lines turn its trace context on.
    worker = stack.use(startPeer(python, 'py_worker.py', { args: [], env: { ...env, BIDI: '1', DYN_LOGGING_JSONL: '1' } }));
    runtime = stack.use(await DistributedRuntime.connect());
    talk = await runtime.client('demo.backend.bidi');
    single = await runtime.client('demo.backend.generate');
    await Promise.all([talk.ready(), single.ready()]);
  });
  afterAll(() => stack.disposeAsync());

  async function* count(limit: number, ended?: () => void): AsyncGenerator<{ i: number }> {
    try {
      for (let i = 0; i < limit; i++) {
        await sleep(2);
        yield { i };
      }
    } finally {
      ended?.();
    }
  }

  test('a two-way stream that is done: every item is answered, and one more when the input has ended', async () => {
    expect(await collect(talk.generate(count(50)))).toEqual([...Array.from({ length: 50 }, (_, i) => ({ got: { i } })), { end: true }]);
    expect(await collect(talk.generate(count(0)))).toEqual([{ end: true }]);
    async function* odd(): AsyncGenerator<unknown> {
      yield* [1, null, 'é😀', [1.5, { id: 18446744073709551615n }], 'x'.repeat(3 << 20)];
    }
    const answers = await collect(talk.generate(odd()));
    expect(answers.slice(0, 4)).toEqual([{ got: 1 }, { got: null }, { got: 'é😀' }, { got: [1.5, { id: 18446744073709551615n }] }]);
    expect(answers[4].got).toHaveLength(3 << 20);
    expect(answers[5]).toEqual({ end: true });
  });

  test('twenty two-way streams at once', async () => {
    const all = await Promise.all(Array.from({ length: 20 }, (_, n) => collect(talk.generate(count(n)))));
    expect(all.map((answers) => answers.length)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
  });

  test('a two-way stream that is left, stopped, or whose source fails leaves the source, and the worker serves on', async () => {
    const left = Promise.withResolvers<void>();
    for await (const { got } of talk.generate(count(100_000, left.resolve))) if (got.i === 3) break;
    await left.promise;
    const abort = new AbortController();
    const stopped = Promise.withResolvers<void>();
    const reading = (async () => {
      for await (const { got } of talk.generate(count(100_000, stopped.resolve), { signal: abort.signal })) if (got.i === 3) abort.abort();
    })();
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' });
    await stopped.promise;
    async function* broken(): AsyncGenerator<number> {
      yield 1;
      throw new Error('my source');
    }
    await expect(collect(talk.generate(broken()))).rejects.toMatchObject({ code: 'unknown', message: 'my source', data: { input: true } });
    expect(await collect(talk.generate(count(2)))).toHaveLength(3);
    const opened = worker.lines.filter((line) => line['event'] === 'bidi_open');
    expect(new Set(opened.map((line) => line['id'])).size).toBe(opened.length);
  });

  test('the worker holds the source back when its own answer is not read', async () => {
    let pulled = 0;
    async function* large(): AsyncGenerator<string> {
      for (; pulled < 2_000; pulled++) yield 'x'.repeat(100_000);
    }
    const stream = talk.generate(large())[Symbol.asyncIterator]();
    await stream.next();
    for (let before = -1; before !== pulled; await sleep(300)) before = pulled;
    expect(pulled).toBeLessThan(1_500);
    await stream.return?.();
  });

  test('a trace goes to the worker: same trace, its span below ours, and what it hands on', async () => {
    const headers = { traceparent, tracestate: 'v=1', 'x-request-id': 'x1' };
    // It tells the request's own id only where that is a UUID.
    for (const id of ['r1', '6b8f3c1e-6d0e-4a55-9d0c-2f6f8f7d1a11']) {
      const [context] = await collect(single.generate({ op: 'ctx' }, { id, headers, metadata: { a: 'b' } }));
      expect(context).toMatchObject({ id, metadata: { a: 'b' }, trace_id: traceId, parent_span_id: '00f067aa0ba902b7' });
      expect(context.trace_headers).toEqual({
        traceparent: `00-${traceId}-${context.span_id}-01`,
        tracestate: 'v=1',
        ...(id === 'r1' ? {} : { 'request-id': id }),
        'x-request-id': 'x1',
      });
    }
  });

  test('a trace comes from a real caller through our handler to a real worker, with id and metadata', async () => {
    const seen: Record<string, string>[] = [];
    await using _served = await runtime.serve<Record<string, unknown>, unknown>('demo.middle.generate', (request, context) => {
      seen.push(context.traceHeaders());
      return single.generate(request, { context });
    });
    const args = ['demo.middle.generate', 'random', '{"op":"ctx"}', '--ctx', 'my-ctx', '--meta', '{"a":"b"}'];
    const lines = await callFromPython(python, { args, env: { ...env, DYN_LOGGING_JSONL: '1' } });
    const item = lines.find((line) => 'item' in line)?.['item'] as Record<string, unknown>;
    const [, trace, span] = seen[0]?.['traceparent']?.split('-') ?? [];
    expect(trace).toMatch(/^[0-9a-f]{32}$/);
    expect(item).toMatchObject({ id: 'my-ctx', metadata: { a: 'b' }, trace_id: trace, parent_span_id: span });
    expect(seen[0]).toMatchObject({ 'request-id': 'my-ctx' });
  });

  test('without a trace nothing is made up', async () => {
    await using _served = await runtime.serve<unknown, unknown>('demo.plain.generate', async function* (_request, context) {
      yield context.traceHeaders();
    });
    const lines = await callFromPython(python, { args: ['demo.plain.generate', 'random', '{}'], env });
    expect(lines.find((line) => 'item' in line)?.['item']).toEqual({});
  });
});
