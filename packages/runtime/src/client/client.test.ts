import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { collect } from '../async/pipe.ts';
import { DynamoError } from '../error.ts';
import type { Settings } from '../options.ts';
import { notebook } from '../testing/notebook.ts';
import { openEndpointClient, type TypedClientOptions } from './client.ts';
import { type Answer, sentTo, stubWire } from './testing/wire-stub.ts';

/** A client of two instances, 1 and 2, whose policy sends to the first candidate and notes how each call ended. */
async function open(answer: (id: bigint) => Answer, more: { settings?: Partial<Settings>; options?: Partial<TypedClientOptions<unknown>> } = {}) {
  const stage = stubWire((request) => answer(sentTo(request)), more.settings);
  const ends: unknown[] = [];
  const seen: unknown[] = [];
  const client = openEndpointClient(stage.parts, 'demo.backend.generate', {
    policy: {
      pick: (_request, candidates) => ({ instance: candidates[0]!.id, seen: (item) => seen.push(item), done: (error) => ends.push(error) }),
    },
    ...more.options,
  });
  const first = await stage.put(1n);
  await stage.put(2n);
  await client.ready({ min: 2 });
  const code = (call = {}): Promise<unknown> => collect(client.generate(null, call)).catch((error: DynamoError) => error.code);
  return {
    ...stage,
    client,
    first,
    ends,
    seen,
    code,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await stage[Symbol.asyncDispose]();
    },
  };
}

test('a policy hears of every item and once of the end, however the call ends', async () => {
  const answers: Answer[] = [[1, 2], [3, 4], new DynamoError('unavailable', 'no')];
  await using at = await open(() => answers.shift() ?? []);
  expect(await at.code()).toEqual([1, 2]);
  for await (const item of at.client.generate(null)) if (item === 3) break;
  expect(await at.code()).toBe('unavailable');
  expect(at.ends).toEqual([undefined, undefined, expect.objectContaining({ code: 'unavailable' })]);
  expect(at.seen).toEqual([1, 2, 3, 4]);
  expect(at.streams.every(({ left }) => left)).toBe(true);
});

test('a request that can not be written is told to the policy too, and sends nothing', async () => {
  await using at = await open(() => []);
  await expect(collect(at.client.generate(() => {}))).rejects.toMatchObject({ code: 'invalid_argument' });
  expect(at.ends).toEqual([expect.objectContaining({ code: 'invalid_argument' })]);
  expect(at.sent).toEqual([]);
  expect(at.streams.every(({ left }) => left)).toBe(true);
});

test('a signal that aborts while the policy thinks sends nothing', async () => {
  const abort = new AbortController();
  const policy = {
    pick: async () => {
      abort.abort(new DynamoError('cancelled', 'changed my mind'));
      return { instance: 1n };
    },
  };
  await using at = await open(() => [], { options: { policy } });
  await expect(collect(at.client.generate(null, { signal: abort.signal }))).rejects.toMatchObject({ message: 'changed my mind' });
  expect(at.sent).toEqual([]);
});

test('an abort reaches the worker as a stop, one with the kind kill as a kill', async () => {
  await using at = await open(() => 'silence');
  for (const [kind, how] of [
    [undefined, 'stop'],
    ['kill', 'kill'],
  ]) {
    const abort = new AbortController();
    const ended = at.code({ signal: abort.signal });
    const calls = at.streams.length;
    await expect.poll(() => at.streams.length).toBe(calls + 1);
    abort.abort(new DynamoError('cancelled', 'enough', { data: { kind } }));
    expect(await ended).toBe('cancelled');
    expect(at.streams.at(-1)).toMatchObject({ failedWith: how, left: true });
    expect(getEventListeners(abort.signal, 'abort')).toEqual([]);
  }
});

test('a worker that takes a request and never calls home fails it, and is left alone for a while', async () => {
  const timeouts = { connectMs: 1_000, ackMs: 1_000, callHomeMs: 30, prologueMs: 1_000 };
  await using at = await open((id) => (id === 1n ? 'silence' : ['fine']), { settings: { timeouts } });
  expect(await at.code()).toBe('connection_timeout');
  expect(await at.code()).toEqual(['fine']);
  expect(at.sent).toEqual([1n, 2n]);
});

test('a call-home that waits while the event loop is busy is in time', async () => {
  const timeouts = { connectMs: 1_000, ackMs: 1_000, callHomeMs: 20, prologueMs: 1_000 };
  await using at = await open(
    () => {
      setTimeout(() => {
        for (const until = performance.now() + 60; performance.now() < until;);
        setImmediate(() => at.streams.at(-1)?.finish(['fine']));
      }, 5);
      return 'silence';
    },
    { settings: { timeouts } },
  );
  expect(await at.code()).toEqual(['fine']);
});

test('an instance that goes before it has called home fails its calls, and no others', async () => {
  await using at = await open((id) => (id === 1n ? 'silence' : ['fine']));
  const lost = at.code();
  await expect.poll(() => at.sent).toEqual([1n]);
  await at.first[Symbol.asyncDispose]();
  expect(await lost).toBe('disconnected');
  expect(await at.code()).toEqual(['fine']);
});

test('an overloaded instance is skipped, also when it is asked for by name, and all of them are told apart from none', async () => {
  const full = new Set([1n]);
  await using at = await open((id) => (full.has(id) ? new DynamoError('worker_overloaded', 'Server overloaded: worker at capacity') : ['fine']));
  expect(await at.code()).toBe('worker_overloaded');
  expect(await at.code()).toEqual(['fine']);
  expect(await at.code({ instance: 1n })).toBe('worker_overloaded');
  expect(at.sent).toEqual([1n, 2n]);
  full.add(2n);
  expect(await at.code()).toBe('worker_overloaded');
  expect(await at.code()).toBe('resource_exhausted');
});

test('records that are no instances are ignored with one line each, and stop nobody', async () => {
  const { lines, log } = notebook();
  await using at = await open(() => ['fine'], { settings: { log } });
  const values = ['{"type":"Endpoint"}', '{"type":"Endpoint","namespace":7}', 'null', '{"type":"Model"}'];
  for (const [index, value] of values.entries())
    await at.discovery.put({ bucket: 'v1/instances', key: `demo/backend/generate/${index + 90}`, value });
  await expect.poll(() => lines).toEqual(values.map(() => 'ignored a record that is no instance'));
  expect(at.client.instances.map(({ id }) => id)).toEqual([1n, 2n]);
  expect(await at.code()).toEqual(['fine']);
});

test('waiting for instances ends with its signal, and with the client', async () => {
  await using at = await open(() => []);
  await expect(at.client.ready({ min: 3, signal: AbortSignal.timeout(20) })).rejects.toMatchObject({ code: 'cancelled' });
  const waiting = at.client.ready({ min: 3 });
  const ended = expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  await at.client[Symbol.asyncDispose]();
  await ended;
});
