import { type ForwardPassMetrics, ForwardPassPublisher, ForwardPassRelay, ForwardPassSubscriber, encodeForwardPass } from '@dynamo/internal';
import { DistributedRuntime } from '@dynamo/runtime';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Publisher } from 'zeromq';
import { stage } from './event-peers.ts';
import { findPython, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const path = 'demo.backend.generate';
const pass = {
  scheduledPrefills: 1,
  scheduledPrefillTokens: 2,
  scheduledPrefillVariance: 3.5,
  scheduledPrefillKvTokens: 4,
  scheduledDecodes: 5,
  scheduledDecodeKvTokens: 6,
  scheduledDecodeVariance: 7.5,
  queuedPrefills: 8,
  queuedPrefillTokens: 9,
  queuedPrefillVariance: 10.5,
  queuedDecodes: 11,
  queuedDecodeKvTokens: 12,
  queuedDecodeVariance: 13.5,
};

describe.skipIf('missing' in found)('forward-pass metrics', () => {
  afterEach(() => void vi.unstubAllEnvs());

  test('a real publisher, our subscriber: the latest is there, and goes with the publisher', async () => {
    await using set = await stage(python, 'zmq direct');
    await using runtime = await DistributedRuntime.connect();
    const seen: ForwardPassMetrics[] = [];
    await using subscriber = await ForwardPassSubscriber.open(runtime, path, { onPass: (metrics) => void seen.push(metrics) });
    const peer = startPeer(python, 'py_events.py', { args: ['say', path], env: set.env });
    await expect.poll(() => seen.length, { timeout: 30_000 }).toBeGreaterThan(10);
    const busy = seen.find(({ seconds }) => seconds > 0);
    expect(busy).toMatchObject({ workerId: 'a-real-worker', dpRank: 0, seconds: 0.5, pass: { scheduledPrefillVariance: 0, queuedDecodes: 0 } });
    expect(busy?.pass.scheduledPrefillTokens).toBe(2 ** 40 + (busy?.pass.scheduledPrefills ?? 0));
    expect(subscriber.latest()).toHaveLength(1);
    await peer[Symbol.asyncDispose]();
    await expect.poll(() => subscriber.latest(), { timeout: 30_000 }).toEqual([]);
  });

  test('our publisher and our relay, a real subscriber', async () => {
    await using set = await stage(python, 'zmq direct');
    await using runtime = await DistributedRuntime.connect();
    await using peer = startPeer(python, 'py_events.py', { args: ['hear', path], env: set.env });
    await expect.poll(() => peer.lines.length, { timeout: 30_000 }).toBeGreaterThan(0);
    const heard = (worker: string): Record<string, unknown> | undefined =>
      peer.lines
        .map((line) => line['message'] as Record<string, unknown> | undefined)
        .find((message) => message?.['worker_id'] === worker && message['wall_time'] !== 0);
    await using publisher = await ForwardPassPublisher.open(runtime, path, { workerId: 42n });
    // An engine of its own, on a local socket, as the instrumented scheduler of vLLM has it.
    using engine = { socket: new Publisher(), [Symbol.dispose]: () => engine.socket.close() };
    await engine.socket.bind('tcp://127.0.0.1:0');
    await using _relay = await ForwardPassRelay.open(runtime, path, { zmq: engine.socket.lastEndpoint ?? '' });
    const message = encodeForwardPass({ workerId: 'an-engine', dpRank: 3, counter: 7, seconds: 0.125 }, pass);
    await expect
      .poll(
        async () => {
          publisher.publish({ seconds: 0.5, pass });
          await engine.socket.send(['', Buffer.alloc(8), Buffer.from('garbage')]);
          await engine.socket.send(['', Buffer.alloc(8), message]);
          return heard('42') !== undefined && heard('an-engine') !== undefined;
        },
        { timeout: 30_000 },
      )
      .toBe(true);
    expect(heard('42')).toMatchObject({ version: 1, dp_rank: 0, wall_time: 0.5, queued_requests: { var_decode_kv_tokens: 13.5 } });
    expect(heard('an-engine')).toMatchObject({
      dp_rank: 3,
      counter_id: 7,
      wall_time: 0.125,
      scheduled_requests: { num_prefill_requests: 1, sum_decode_kv_tokens: 6, var_prefill_length: 3.5 },
    });
  });
});
