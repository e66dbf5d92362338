import { readFileSync } from 'node:fs';
import { decodeJson } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import { RankTable } from '../ranks.ts';
import { decodeActiveLoad, encodeActiveLoad } from '../wire/load.ts';
import { decodeSequenceEvents, encodeSequenceEvents } from '../wire/sequence-event.ts';
import { ActiveSequences } from './active-sequences.ts';
import { LoadReporter } from './load-reporter.ts';
import { ReplicaSync, type SharedRequest } from './replica-sync.ts';
import { fromBigints, toBigints } from './sequence-table.ts';

interface Captured {
  frames_hex: string[];
  topic?: string;
  payload: any;
}

const lines = (name: string): Captured[] =>
  readFileSync(new URL(`../../../../vectors/kv-router/${name}`, import.meta.url), 'utf8')
    .trim()
    .split('\n')
    .map((line) => decodeJson(line) as Captured);

/** The payload behind the envelope: its last member, a msgpack bin. */
function payloadOf(captured: Captured): Buffer {
  const frame = Buffer.from(captured.frames_hex[3] ?? '', 'hex');
  const at = frame.indexOf('payload') + 'payload'.length;
  const wide = frame[at] === 0xc5;
  expect([0xc4, 0xc5]).toContain(frame[at]);
  return frame.subarray(at + (wide ? 3 : 2));
}

const sync = lines('replica_sync.jsonl');
const plane = lines('event_plane_capture.jsonl');
const sequenceMessages = [...sync, ...plane.filter(({ topic }) => topic === 'active_sequences_events')];

test.each(sequenceMessages.map((captured, at) => [at, captured] as const))('captured message %i is read and written to the byte', (_at, captured) => {
  const payload = payloadOf(captured);
  const events = decodeSequenceEvents(payload);
  expect(Buffer.from(encodeSequenceEvents(events)).toString('hex')).toBe(payload.toString('hex'));
  expect(events.map(({ requestId, workerId, dpRank, routerId }) => [requestId, workerId, dpRank, routerId])).toEqual(
    captured.payload.events.map((event: any) => [event.request_id, BigInt(event.worker.worker_id), event.worker.dp_rank, BigInt(event.router_id)]),
  );
  for (const event of events) {
    const bare = encodeSequenceEvents([event], { bare: true });
    expect(decodeSequenceEvents(bare)).toEqual([event]);
  }
});

const loadMessages = plane.filter(({ topic }) => topic === 'kv_metrics');
test.each(loadMessages.map((captured, at) => [at, captured] as const))('captured load %i is read and written to the byte', (_at, captured) => {
  const payload = payloadOf(captured);
  const load = decodeActiveLoad(payload);
  expect(load).toEqual({ workerId: BigInt(captured.payload.worker_id), dpRank: 0, kvUsedBlocks: captured.payload.kv_used_blocks });
  expect(Buffer.from(encodeActiveLoad(load)).toString('hex')).toBe(payload.toString('hex'));
});

test('a bare message holds one event, and what a message lacks is named', () => {
  expect(() => encodeSequenceEvents([], { bare: true })).toThrow('a bare message holds exactly one event');
  expect(() => decodeSequenceEvents(Buffer.from([0x90]))).toThrow('the message must be a map');
  expect(() => decodeSequenceEvents(Buffer.from('81a6 6576656e7473 9180'.replaceAll(' ', ''), 'hex'))).toThrow(
    'request_id must be text, got nothing',
  );
});

function router(routerId: bigint, bare = false) {
  const ranks = new RankTable();
  const sequences = new ActiveSequences({ clock: () => 0, ranks });
  const sent: Uint8Array[] = [];
  const timers: (() => void)[] = [];
  let changes = 0;
  const replica = new ReplicaSync({
    routerId,
    ranks,
    sequences,
    bare,
    publish: (payload) => sent.push(payload),
    changed: () => changes++,
    timer: (callback) => {
      timers.push(callback);
      return () => timers.splice(timers.indexOf(callback), 1);
    },
  });
  return { ranks, sequences, sent, timers, replica, changes: () => changes };
}

const request: SharedRequest = {
  id: 'r1',
  workerId: 7n,
  dpRank: 1,
  sequence: fromBigints([1n, 0xffff_ffff_ffff_ffffn]),
  trackPrefill: true,
  prefillTokens: 33,
  expectedOutputTokens: 9,
  loraName: 'style',
};

test.each([false, true])('what one router books, the other counts (bare: %s)', (bare) => {
  const a = router(1n, bare);
  const b = router(2n, bare);
  const deliver = (): void => {
    a.replica.flush();
    for (const payload of a.sent.splice(0)) for (const { replica } of [a, b]) replica.onEvent(payload);
  };
  a.replica.added(request);
  deliver();
  const rank = b.ranks.find(7n, 1) ?? -1;
  const loads = (): unknown[] => {
    const { blocks, prefillTokens, requests } = b.sequences.columns();
    return [blocks[rank], prefillTokens[rank], requests[rank]];
  };
  expect(loads()).toEqual([2, 33, 1]);
  // Our own events come back over the plane and change nothing.
  expect([a.sequences.size, a.changes(), b.changes()]).toEqual([0, 0, bare ? 1 : 1]);
  a.replica.prefillDone(request);
  a.replica.prefillDone(request);
  deliver();
  expect(loads()).toEqual([2, 0, 1]);
  a.replica.freed(request);
  a.replica.freed(request);
  deliver();
  expect(loads()).toEqual([0, 0, 0]);
  expect(b.sequences.distinctBlocks).toBe(0);
});

test('the captured run of two real frontends leaves nothing behind', () => {
  const observer = router(99n);
  let most = 0;
  for (const captured of sync) {
    observer.replica.onEvent(payloadOf(captured));
    most = Math.max(most, observer.sequences.size);
  }
  expect(most).toBeGreaterThan(0);
  const freed = new Set(
    sync.flatMap(({ payload }) => payload.events.filter((event: any) => event.data === 'Free').map((event: any) => event.request_id)),
  );
  const added = new Set(
    sync.flatMap(({ payload }) => payload.events.filter((event: any) => event.data.AddRequest).map((event: any) => event.request_id)),
  );
  expect(observer.sequences.size).toBe([...added].filter((id) => !freed.has(id)).length);
});

test('events wait for a moment or for a full batch, and what is broken is counted', () => {
  const { replica, sent, timers } = router(1n);
  replica.prefillDone(request);
  expect([sent.length, timers.length]).toEqual([0, 1]);
  timers[0]?.();
  expect(decodeSequenceEvents(sent[0] ?? new Uint8Array())).toHaveLength(1);
  for (let n = 0; n < 256; n++) replica.prefillDone(request);
  expect(decodeSequenceEvents(sent[1] ?? new Uint8Array())).toHaveLength(256);
  replica.onEvent(Buffer.from([0xc1]));
  expect(replica.refused).toBe(1);
  replica.prefillDone(request);
  replica[Symbol.dispose]();
  expect(sent).toHaveLength(3);
});

test('hints of an expected duration survive the wire', () => {
  const { replica, sent } = router(1n);
  replica.added({ ...request, expectedPrefillMs: 1250.5 });
  replica.flush();
  expect(decodeSequenceEvents(sent[0] ?? new Uint8Array())[0]?.change).toEqual({
    type: 'added',
    sequence: toBigints(request.sequence),
    trackPrefill: true,
    expectedOutputTokens: 9,
    prefill: { tokens: 33, expectedMs: 1250.5 },
  });
});

test('a worker sends its newest load and never the same one twice', () => {
  const sent: Uint8Array[] = [];
  const timers: (() => void)[] = [];
  const reporter = new LoadReporter({
    workerId: 5n,
    publish: (payload) => sent.push(payload),
    timer: (callback) => {
      timers.push(callback);
      return () => timers.pop();
    },
  });
  expect(() => reporter.report({ dpRank: 1 })).toThrow('worker metrics publish requires at least one load metric');
  reporter.report({ kvUsedBlocks: 1 });
  reporter.report({ kvUsedBlocks: 2 });
  reporter.report({ dpRank: 3, activeDecodeBlocks: 4 });
  timers.shift()?.();
  expect(sent.map(decodeActiveLoad)).toEqual([
    { workerId: 5n, dpRank: 0, kvUsedBlocks: 2 },
    { workerId: 5n, dpRank: 3, activeDecodeBlocks: 4 },
  ]);
  reporter.report({ kvUsedBlocks: 2 });
  timers.shift()?.();
  expect(sent).toHaveLength(2);
  reporter.report({ kvUsedBlocks: 3 });
  reporter[Symbol.dispose]();
  expect([timers.length, sent.length]).toEqual([0, 2]);
});
