import { DistributedRuntime } from '@dynamo/runtime';
import { encodeMsgpack, mem, MemEvents, memEvents, MemStore } from '@dynamo/runtime/internal';
import { expect, test } from 'vitest';
import type { ForwardPass } from '../mock/pass.ts';
import { ForwardPassPublisher } from './publisher.ts';
import { ForwardPassSubscriber } from './subscriber.ts';
import { decodeForwardPass, encodeForwardPass, type ForwardPassMetrics } from './wire/forward-pass.ts';

const path = 'demo.backend.generate';
const pass: ForwardPass = {
  scheduledPrefills: 1,
  scheduledPrefillTokens: 2 ** 40,
  scheduledPrefillVariance: 3.5,
  scheduledPrefillKvTokens: 4,
  scheduledDecodes: 5,
  scheduledDecodeKvTokens: 6,
  scheduledDecodeVariance: 7.25,
  queuedPrefills: 8,
  queuedPrefillTokens: 9,
  queuedPrefillVariance: 10.5,
  queuedDecodes: 11,
  queuedDecodeKvTokens: 12,
  queuedDecodeVariance: 13,
};

test('the latest of each worker and rank, until its card or its publisher goes', async () => {
  const store = new MemStore();
  const events = new MemEvents();
  const connect = () => DistributedRuntime.connect({ discovery: mem(store), eventPlane: memEvents(events) });
  await using planner = await connect();
  await using worker = await connect();
  const seen: ForwardPassMetrics[] = [];
  await using subscriber = await ForwardPassSubscriber.open(planner, path, { onPass: (metrics) => void seen.push(metrics) });
  const id = worker.discovery.instanceId;
  const card = await worker.discovery.put({
    bucket: 'v1/mdc',
    key: `demo/backend/generate/${id.toString(16)}`,
    value: `{"type":"Model","namespace":"demo","component":"backend","endpoint":"generate","instance_id":${id},"card_json":{"display_name":"m"}}`,
  });
  await using publisher = await ForwardPassPublisher.open(worker, path, { ranks: 2 });
  await expect
    .poll(() => {
      publisher.publish({ dpRank: 0, seconds: 0.25, pass });
      publisher.publish({ dpRank: 1, seconds: 0.5, pass });
      return subscriber.latest().length;
    })
    .toBe(2);
  expect(subscriber.latest()[0]).toMatchObject({ workerId: String(id), dpRank: 0, seconds: 0.25, pass });
  // Idle ranks beat by themselves.
  await expect.poll(() => subscriber.latest().map(({ seconds }) => seconds), { timeout: 10_000 }).toEqual([0, 0]);
  expect(seen.length).toBeGreaterThanOrEqual(4);
  expect(() => publisher.publish({ dpRank: 2, seconds: 1, pass })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect(() => publisher.publish({ seconds: NaN, pass })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));

  const other = await ForwardPassPublisher.open(worker, path, { workerId: 'an-engine' });
  await expect
    .poll(() => {
      other.publish({ seconds: 1, pass });
      return subscriber.latest().map(({ workerId }) => workerId);
    })
    .toContain('an-engine');
  await other[Symbol.asyncDispose]();
  await expect.poll(() => subscriber.latest().map(({ workerId }) => workerId)).not.toContain('an-engine');
  await card[Symbol.asyncDispose]();
  await expect.poll(() => subscriber.latest()).toEqual([]);
  publisher.publish({ seconds: 1, pass });
  expect(subscriber.latest()).toEqual([]);
});

test('what is no such message is refused, and what is left out is 0', () => {
  const facts = { workerId: 9n, dpRank: 1, counter: 2, seconds: 0.5 };
  expect(decodeForwardPass(encodeForwardPass(facts, pass))).toEqual({ ...facts, workerId: '9', pass });
  expect(decodeForwardPass(encodeMsgpack({ version: 1, worker_id: 'w' })).pass.queuedPrefillTokens).toBe(0);
  const wrong = [
    new Uint8Array([0xc1]),
    encodeMsgpack([1]),
    encodeMsgpack({ version: 2, worker_id: 'w' }),
    encodeMsgpack({ version: 1, worker_id: 7 }),
    encodeMsgpack({ version: 1, worker_id: 'w', queued_requests: 'many' }),
    encodeMsgpack({ version: 1, worker_id: 'w', wall_time: -1 }),
  ];
  for (const payload of wrong) expect(() => decodeForwardPass(payload)).toThrow(expect.objectContaining({ code: 'backend_protocol' }));
});
