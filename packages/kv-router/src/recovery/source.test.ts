import { readFileSync } from 'node:fs';
import { decodeMsgpack, encodeMsgpack, silentLogger } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import type { KvChange, RouterEvent } from '../wire/kv-event.ts';
import { answerFromWire, answerToWire, queryFromWire, queryToWire, type WorkerAnswer } from '../wire/worker-query.ts';
import { EventSource, retryRule } from './source.ts';

const stored = (id: number, block: bigint, parent?: bigint): RouterEvent =>
  event(id, { type: 'stored', parent, blocks: [{ blockHash: block, tokensHash: block }] });

const event = (id: number, change: KvChange, domain: 'worker' | 'every' = 'worker'): RouterEvent => ({
  workerId: 1n,
  dpRank: 0,
  tier: 'device',
  id,
  change,
  ...(domain === 'every' ? {} : { domain }),
});

/** A source whose worker answers when the test says so, with the blocks that the index would hold. */
function stage() {
  const asked: (number | undefined)[] = [];
  const slept: number[] = [];
  const warned: string[] = [];
  const held = new Set<bigint>();
  let reply = Promise.withResolvers<WorkerAnswer>();
  const source = new EventSource({
    ask: (start) => {
      asked.push(start);
      reply = Promise.withResolvers();
      return reply.promise;
    },
    apply: ({ change }) => {
      if (change.type === 'stored') for (const { blockHash } of change.blocks) held.add(blockHash);
      else if (change.type === 'removed') for (const hash of change.hashes) held.delete(hash);
      else held.clear();
    },
    reset: () => held.clear(),
    sleep: async (ms) => void slept.push(ms),
    log: { ...silentLogger, warn: (_fields, message) => void warned.push(message) },
  });
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };
  const answer = async (value: WorkerAnswer | Error): Promise<void> => {
    if (value instanceof Error) reply.reject(value);
    else reply.resolve(value);
    await settle();
  };
  return { source, asked, slept, warned, held, answer };
}

const dump = (last: number, ...blocks: bigint[]): WorkerAnswer => ({
  type: 'dump',
  last,
  events: blocks.map((block, index) => stored(index, block)),
});

test('a new source is asked for everything, and events that come meanwhile follow the answer', async () => {
  const { source, asked, held, answer } = stage();
  expect(asked).toEqual([undefined]);
  source.push(stored(5, 5n));
  source.push(stored(6, 6n));
  expect(held.size).toBe(0);
  expect(source.state).toBe('recovering');
  await answer(dump(5, 1n, 2n));
  expect([...held]).toEqual([1n, 2n, 6n]);
  expect([source.cursor, source.state]).toEqual([6, 'live']);
});

test('the next number is applied, an old one ignored, and a gap asks from the first missing one on', async () => {
  const { source, asked, held, answer } = stage();
  await answer(dump(5));
  source.push(stored(6, 6n));
  source.push(stored(4, 4n));
  expect([...held]).toEqual([6n]);
  source.push(stored(9, 9n));
  source.push(stored(10, 10n));
  expect(asked).toEqual([undefined, 7]);
  expect([...held]).toEqual([6n]);
  await answer({ type: 'events', last: 9, events: [stored(7, 7n), stored(8, 8n), stored(9, 9n)] });
  expect([...held]).toEqual([6n, 7n, 8n, 9n, 10n]);
  expect([source.cursor, source.state, source.gaps]).toEqual([10, 'live', 1]);
});

test('what is still missing after the answer is not asked for again', async () => {
  const { source, asked, warned, held, answer } = stage();
  await answer(dump(12));
  source.push(stored(20, 20n));
  source.push(stored(23, 23n));
  await answer(dump(20, 20n));
  expect(asked).toEqual([undefined, 13]);
  expect([...held]).toEqual([20n, 23n]);
  expect(warned).toEqual(['KV recovery local catch-up skipped event IDs; continuing with advisory hints']);
  expect([source.cursor, source.state]).toEqual([23, 'degraded']);
});

test('a clear of this worker waits its turn; a clear of everything ends the recovery', async () => {
  const waiting = stage();
  await waiting.answer(dump(22, 1n));
  waiting.source.push(stored(30, 30n));
  waiting.source.push(event(31, { type: 'cleared' }));
  expect([...waiting.held]).toEqual([1n]);
  await waiting.answer(dump(20));
  expect([...waiting.held]).toEqual([]);

  const ended = stage();
  await ended.answer(dump(22, 1n));
  ended.source.push(stored(30, 30n));
  ended.source.push(event(31, { type: 'cleared' }, 'every'));
  expect([ended.held.size, ended.source.cursor, ended.source.state]).toEqual([0, 31, 'live']);
  await ended.answer(dump(40, 1n, 2n));
  expect([ended.held.size, ended.source.cursor]).toEqual([0, 31]);
});

test('too new is not retried; the buffered events go on', async () => {
  const { source, asked, warned, held, answer } = stage();
  await answer(dump(50, 1n));
  source.push(stored(61, 61n));
  await answer({ type: 'too-new', requestedStart: 51, requestedEnd: 61, newest: 50 });
  expect(asked).toEqual([undefined, 51]);
  expect([...held]).toEqual([1n, 61n]);
  expect(warned).toContain('KV recovery returned no applicable state');
  expect(source.cursor).toBe(61);
});

test('errors are retried at doubling pauses, eight attempts in all, and then live events go on', async () => {
  const { source, asked, slept, warned, held, answer } = stage();
  await answer(dump(31, 1n));
  source.push(stored(40, 40n));
  for (let attempt = 0; attempt < retryRule.attempts; attempt++) {
    expect([...held]).toEqual([1n]);
    await answer(attempt % 2 === 0 ? { type: 'error', message: 'no' } : new Error('broken stream'));
  }
  expect(asked).toEqual([undefined, ...Array.from({ length: 8 }, () => 32)]);
  expect(slept).toEqual([200, 400, 800, 1600, 3200, 6400, 12800]);
  expect(warned[0]).toBe('KV recovery failed; continuing with degraded live events');
  expect([...held]).toEqual([1n, 40n]);
  expect([source.cursor, source.state]).toEqual([40, 'degraded']);
  source.push(stored(50, 50n));
  expect(asked.at(-1)).toBe(41);
  await answer(dump(50, 50n));
  expect([[...held], source.state]).toEqual([[50n], 'live']);
});

test('a source that is gone takes no answer any more', async () => {
  const { source, held, answer } = stage();
  source[Symbol.dispose]();
  await answer(dump(5, 1n));
  expect(held.size).toBe(0);
});

test('captured queries and answers read and write alike', () => {
  const captured = readFileSync(new URL('../../../../vectors/kv-router/worker_kv_query.jsonl', import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; msgpack_hex: string });
  const kinds = new Map<string, number>();
  for (const { kind, msgpack_hex } of captured) {
    const value = decodeMsgpack(Buffer.from(msgpack_hex, 'hex'));
    const back = kind === 'request' ? queryToWire(queryFromWire(value)) : answer(value);
    if (kind === 'request' && Object.keys(value as object).length < 6) continue;
    expect(decodeMsgpack(encodeMsgpack(back)), kind).toEqual(value);
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  expect([...kinds.keys()]).toEqual(['request', 'response']);
});

const answer = (value: unknown): unknown => {
  const framed = value as { data?: unknown; complete_final: boolean };
  return framed.data === undefined ? framed : { data: answerToWire(answerFromWire(framed.data)), complete_final: framed.complete_final };
};
