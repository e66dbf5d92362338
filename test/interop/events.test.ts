import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { DistributedRuntime } from '@dynamo/runtime';
import { batchesOf, collect, decodeMsgpack, encodeMsgpack, type EventChange, type EventScope, float } from '@dynamo/runtime/internal';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { missing, startNats } from '../../packages/runtime/src/testing/servers.ts';
import { startMocker } from './mocker.ts';
import { findPython, freePort, scene, startPeer } from './python.ts';

const found = findPython();
const python = 'path' in found ? found.path : '';
if ('missing' in found) console.warn(`skipped: ${found.missing}`);
const tiny = fileURLToPath(new URL('../../vectors/llm/model-tiny', import.meta.url));

const sides = ['ours', 'theirs'] as const;
const transports = ['zmq direct', 'zmq broker', 'nats'] as const;
type Side = (typeof sides)[number];
type Transport = (typeof transports)[number];
const rows = transports.flatMap((over) => sides.flatMap((publisher) => sides.map((subscriber) => ({ over, publisher, subscriber }))));

const path = 'demo.backend.generate';
const scope: EventScope = { namespace: 'demo', component: 'backend', endpoint: 'generate' };
/** The topic that the real Python can both publish to and hear. */
const topic = 'forward-pass-metrics';

afterEach(() => vi.unstubAllEnvs());

/** Discovery, and the server or broker that a transport needs; the environment points everybody at them. */
async function stage(over: Transport) {
  await using undo = new AsyncDisposableStack();
  const { env } = undo.use(await scene());
  env['DYN_EVENT_PLANE_HOST'] = '127.0.0.1';
  if (over === 'nats') {
    env['DYN_EVENT_PLANE'] = 'nats';
    env['NATS_SERVER'] = undo.use(await startNats()).url;
  } else if (over === 'zmq broker') {
    const [xsub, xpub] = [await freePort(), await freePort()].map((port) => `tcp://127.0.0.1:${port}`) as [string, string];
    const broker = undo.use(startPeer(python, 'py_events.py', { args: ['broker', xsub, xpub], env }));
    await expect.poll(() => broker.lines.length, { timeout: 20_000 }).toBe(1);
    env['DYN_ZMQ_BROKER_URL'] = `xsub=${xsub} , xpub=${xpub}`;
  }
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  const kept = undo.move();
  return { env, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

/** What a subscription of ours has told so far. */
async function ourEars(on: string = topic, where: EventScope = scope) {
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

/** Numbers of the messages that a subscriber has heard. */
type Heard = { readonly numbers: () => number[] } & AsyncDisposable;

const listen: Record<Side, (env: Record<string, string>) => Promise<Heard>> = {
  async ours() {
    const ears = await ourEars();
    return {
      numbers: () => ears.payloads().map((message) => message['counter_id'] as number),
      [Symbol.asyncDispose]: () => ears[Symbol.asyncDispose](),
    };
  },
  async theirs(env) {
    const peer = startPeer(python, 'py_events.py', { args: ['hear', path], env });
    const heard = (): Record<string, unknown>[] =>
      peer.lines.filter((line) => line['event'] === 'heard').map((line) => line['message'] as Record<string, unknown>);
    await expect.poll(() => peer.lines.length, { timeout: 30_000 }).toBeGreaterThan(0);
    return { numbers: () => heard().map((message) => message['counter_id'] as number), [Symbol.asyncDispose]: () => peer[Symbol.asyncDispose]() };
  },
};

/** What the real publishers send, from a worker of ours. */
const metrics = (n: number): Uint8Array =>
  encodeMsgpack({
    version: 1,
    worker_id: 'one of ours',
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

const speak: Record<Side, (env: Record<string, string>) => Promise<AsyncDisposable>> = {
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
  theirs: async (env) => startPeer(python, 'py_events.py', { args: ['say', path], env }),
};

const why = (over: Transport): string | undefined => ('missing' in found ? found.missing : over === 'nats' ? missing('nats-server') : undefined);

describe('events', () => {
  for (const row of rows) {
    const { over, publisher, subscriber } = row;
    const reason = why(over);
    test.skipIf(reason !== undefined)(
      `events | publisher ${publisher} | subscriber ${subscriber} | ${over}${reason === undefined ? '' : ` (${reason})`}`,
      async () => {
        await using scenery = await stage(over);
        await using heard = await listen[subscriber](scenery.env);
        await using _speaking = await speak[publisher](scenery.env);
        await expect.poll(() => heard.numbers().length, { timeout: 30_000 }).toBeGreaterThanOrEqual(50);
        const numbers = heard.numbers();
        expect(numbers).toEqual(numbers.map((_, i) => (numbers[0] ?? 0) + i));
      },
    );
  }

  for (const over of transports) {
    const reason = why(over);
    test.skipIf(reason !== undefined)(
      `kv events of a real mock worker | subscriber ours | ${over}${reason === undefined ? '' : ` (${reason})`}`,
      async () => {
        await using scenery = await stage(over);
        const where = { namespace: 'dynamo', component: 'backend', endpoint: 'generate' };
        await using kv = await ourEars('kv-events', where);
        await using load = await ourEars('kv_metrics', where);
        await using _mocker = startMocker(python, {
          args: ['--model-path', tiny, '--model-name', 'mock', '--speedup-ratio', '10', '--block-size', '4'],
          env: scenery.env,
        });
        await using runtime = await DistributedRuntime.connect();
        const client = await runtime.client<unknown, unknown>('dynamo.backend.generate');
        const [worker] = await client.ready({ signal: AbortSignal.timeout(50_000) });
        await vi.waitFor(
          async () => {
            const request = {
              model: 'mock',
              token_ids: Array.from({ length: 40 }, () => Math.floor(Math.random() * 200)),
              stop_conditions: { max_tokens: 12, ignore_eos: true },
              sampling_options: {},
              output_options: {},
              eos_token_ids: [258],
              annotations: [],
            };
            await collect(client.generate(request));
            expect(kv.payloads().length).toBeGreaterThan(5);
            expect(load.payloads().length).toBeGreaterThan(0);
          },
          { timeout: 30_000, interval: 200 },
        );
        // An event is an array here: one of each batch. Its own numbers have no hole, as the plane's have none.
        const events = kv.payloads().flatMap((batch) => batch as unknown as { worker_id: bigint; event: { event_id: number } }[]);
        const ids = events.map(({ event }) => event.event_id);
        expect(ids).toEqual(ids.map((_, i) => (ids[0] ?? 0) + i));
        expect(new Set(events.map((event) => event.worker_id))).toEqual(new Set([worker?.id]));
        expect(kv.changes.filter((change) => change.type !== 'event').map((change) => change.type)).toEqual(['joined']);
        expect(kv.counts()).toMatchObject({ malformed: 0, missed: 0, ignored: 0 });
      },
    );
  }

  test.skipIf('missing' in found)('a real publisher that is killed is told as left, and one that starts anew as joined', async () => {
    await using scenery = await stage('zmq direct');
    await using ears = await ourEars();
    const told = (): string[] => ears.changes.filter((change) => change.type !== 'event').map((change) => change.type);
    {
      await using _speaking = await speak.theirs(scenery.env);
      await expect.poll(told, { timeout: 30_000 }).toEqual(['joined']);
    }
    // Its record stays for the time that it was to live.
    await expect.poll(told, { timeout: 30_000 }).toEqual(['joined', 'left']);
    await using _again = await speak.theirs(scenery.env);
    await expect.poll(told, { timeout: 30_000 }).toEqual(['joined', 'left', 'joined']);
    expect(new Set(ears.changes.map((change) => change.publisher)).size).toBe(2);
  });
});
