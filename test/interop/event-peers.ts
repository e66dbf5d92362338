import { setTimeout as sleep } from 'node:timers/promises';
import { DistributedRuntime } from '@dynamo/runtime';
import { batchesOf, decodeMsgpack, encodeMsgpack, type EventChange, type EventScope, float } from '@dynamo/runtime/internal';
import { expect, vi } from 'vitest';
import { startNats } from '../../packages/runtime/src/testing/servers.ts';
import type { Side } from './matrix-plan.ts';
import { freePort, type Peer, scene, startPeer } from './python.ts';

export const transports = ['zmq direct', 'zmq broker', 'nats'] as const;
export type Transport = (typeof transports)[number];

const path = 'demo.backend.generate';
const scope: EventScope = { namespace: 'demo', component: 'backend', endpoint: 'generate' };
/** The topic that the real Python can both publish to and hear. */
const topic = 'forward-pass-metrics';

/** Discovery, and the server or broker that a transport needs; the environment points everybody at them. */
export async function stage(python: string, over: Transport): Promise<{ env: Record<string, string> } & AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const { env } = undo.use(await scene());
  env['DYN_EVENT_PLANE_HOST'] = '127.0.0.1';
  if (over === 'nats') {
    env['DYN_EVENT_PLANE'] = 'nats';
    env['NATS_SERVER'] = undo.use(await startNats()).url;
  } else if (over === 'zmq broker') {
    const [xsub, xpub] = [await freePort(), await freePort()].map((port) => `tcp://127.0.0.1:${port}`) as [string, string];
    const broker = undo.use(startPeer(python, 'py_events.py', { args: ['broker', xsub, xpub], env }));
    await someLine(broker);
    env['DYN_ZMQ_BROKER_URL'] = `xsub=${xsub} , xpub=${xpub}`;
  }
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const kept = undo.move();
  return { env, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** A peer's first line says that it is ready. */
const someLine = (peer: Peer): Promise<void> => vi.waitFor(() => expect(peer.lines.length).toBeGreaterThan(0), { timeout: 30_000 });

/** What a subscription of ours has told so far. */
export async function ourEars(on: string = topic, where: EventScope = scope) {
  const runtime = await DistributedRuntime.connect();
  const stop = new AbortController();
  const changes: EventChange[] = [];
  const reading = (async () => {
    for await (const batch of batchesOf(runtime.events.subscribe(where, on, { signal: stop.signal }))) changes.push(...batch);
  })();
  return {
    changes,
    counts: () => runtime.events.counts,
    payloads: () => changes.flatMap((change) => (change.type === 'event' ? [decodeMsgpack(change.payload) as Record<string, unknown>] : [])),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await reading;
      await runtime[Symbol.asyncDispose]();
    },
  };
}

/** How each side's publisher calls itself. */
const names: Record<Side, string> = { ours: 'one of ours', theirs: 'a-real-worker' };

/** Numbers of the messages that a subscriber has heard from a publisher. */
export type Heard = { readonly numbers: (publisher: Side) => number[] } & AsyncDisposable;

const numbersIn = (messages: readonly Record<string, unknown>[], publisher: Side): number[] =>
  messages.flatMap((message) => (message['worker_id'] === names[publisher] ? [message['counter_id'] as number] : []));

export const listen: Record<Side, (python: string, env: Record<string, string>) => Promise<Heard>> = {
  async ours() {
    const ears = await ourEars();
    return { numbers: (publisher) => numbersIn(ears.payloads(), publisher), [Symbol.asyncDispose]: () => ears[Symbol.asyncDispose]() };
  },
  async theirs(python, env) {
    const peer = startPeer(python, 'py_events.py', { args: ['hear', path], env });
    const heard = (): Record<string, unknown>[] =>
      peer.lines.filter((line) => line['event'] === 'heard').map((line) => line['message'] as Record<string, unknown>);
    await someLine(peer);
    return { numbers: (publisher) => numbersIn(heard(), publisher), [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
  },
};

/** What the real publishers send, from a worker of ours. */
const metrics = (n: number): Uint8Array =>
  encodeMsgpack({
    version: 1,
    worker_id: names.ours,
    dp_rank: 0,
    counter_id: n,
    wall_time: float(0.5),
    scheduled_requests: {
      num_prefill_requests: 0,
      sum_prefill_tokens: 2n ** 40n,
      var_prefill_length: float(0),
      sum_prefill_kv_tokens: 0,
      num_decode_requests: 0,
      sum_decode_kv_tokens: 0,
      var_decode_kv_tokens: float(0),
    },
    queued_requests: {
      num_prefill_requests: 0,
      sum_prefill_tokens: 0,
      var_prefill_length: float(0),
      num_decode_requests: 0,
      sum_decode_kv_tokens: 0,
      var_decode_kv_tokens: float(0),
    },
  });

export const speak: Record<Side, (python: string, env: Record<string, string>) => Promise<AsyncDisposable>> = {
  async ours() {
    const runtime = await DistributedRuntime.connect();
    const publisher = await runtime.events.publish(scope, topic);
    const stop = new AbortController();
    const speaking = (async () => {
      for (let n = 1; !stop.signal.aborted; n++) {
        publisher.publish(metrics(n));
        await sleep(20);
      }
    })();
    return {
      async [Symbol.asyncDispose]() {
        stop.abort();
        await speaking;
        await runtime[Symbol.asyncDispose]();
      },
    };
  },
  theirs: async (python, env) => startPeer(python, 'py_events.py', { args: ['say', path], env }),
};
