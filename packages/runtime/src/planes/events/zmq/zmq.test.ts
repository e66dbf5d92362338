import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import * as zmq from 'zeromq';
import { notebook } from '../../../testing/notebook.ts';
import { freePort } from '../../../testing/servers.ts';
import { eventFramesWriter } from '../../../wire/event-frames.ts';
import { eventSubject } from '../../../wire/event-record.ts';
import type { NatsLink } from '../../nats/connection.ts';
import { type BarePublisher, eventPlaneContract, type EventStage } from '../event-plane.contract.ts';
import type { EventPlane, EventScope } from '../event-plane.ts';
import { newPublisherId } from '../publisher-id.ts';
import { defaultCapacity } from '../subscription.ts';
import { TestDirectory } from '../testing/directory.ts';
import { Listener } from '../testing/listener.ts';
import { parseBrokerUrl } from './broker.ts';
import { zmqEvents } from './index.ts';

const noNats = {} as NatsLink;
const scope = { namespace: 'ns', component: 'backend', endpoint: 'generate' };
const topic = 'kv-events';

const plane = (directory: TestDirectory, more: Partial<Parameters<typeof zmqEvents>[0]> = {}): Promise<EventPlane> =>
  zmqEvents({ directory, host: '127.0.0.1', broker: undefined, capacity: defaultCapacity, log: notebook().log, nats: noNats, ...more });

/** A publisher made of nothing but a socket. */
async function bareAt(socket: zmq.Publisher, routing: string, options: { id?: bigint; topic: string }): Promise<BarePublisher> {
  const { id = newPublisherId() } = options;
  const write = eventFramesWriter({ routing, publisher: id, topic: options.topic });
  let publishedAt = Date.now();
  return {
    id,
    send: (sequence, payload = '') => void socket.send(write({ sequence, publishedAt: publishedAt++, payload: Buffer.from(payload) })),
    garble: () => {
      const frames = write({ sequence: 0, publishedAt: 0, payload: Buffer.alloc(9) });
      void socket.send([...frames.slice(0, 3), Buffer.from(frames[3]!.subarray(0, -1))]);
    },
    [Symbol.asyncDispose]: async () => socket.close(),
  };
}

/** A broker: what comes in at one address goes out at the other. */
async function startBroker(ports?: { xsub: number; xpub: number }) {
  const { xsub, xpub } = ports ?? { xsub: await freePort(), xpub: await freePort() };
  const inward = new zmq.XSubscriber({ receiveHighWaterMark: 0, linger: 0 });
  const outward = new zmq.XPublisher({ sendHighWaterMark: 0, linger: 0 });
  await inward.bind(`tcp://127.0.0.1:${xsub}`);
  await outward.bind(`tcp://127.0.0.1:${xpub}`);
  const relay = async (from: zmq.XSubscriber | zmq.XPublisher, to: zmq.XSubscriber | zmq.XPublisher): Promise<void> => {
    for await (const frames of from) await to.send(frames);
  };
  const running = Promise.allSettled([relay(inward, outward), relay(outward, inward)]);
  return {
    ports: { xsub, xpub },
    xsub: `tcp://127.0.0.1:${xsub}`,
    xpub: `tcp://127.0.0.1:${xpub}`,
    url: `xsub=tcp://127.0.0.1:${xsub} , xpub=tcp://127.0.0.1:${xpub}`,
    async [Symbol.asyncDispose]() {
      inward.close();
      outward.close();
      await running;
    },
  };
}

describe('direct', () => {
  async function open(options: { capacity?: number } = {}): Promise<EventStage & { directory: TestDirectory }> {
    const directory = new TestDirectory();
    const { lines, log } = notebook();
    const stack = new AsyncDisposableStack();
    return {
      directory,
      speaking: stack.use(await plane(directory, { log, ...options })),
      hearing: stack.use(await plane(directory, { log, ...options })),
      lines,
      async bare(place: EventScope, name: string) {
        const socket = new zmq.Publisher({ sendTimeout: 0 });
        await socket.bind('tcp://127.0.0.1:*');
        const bare = await bareAt(socket, name, { topic: name });
        const transport = { kind: 'zmq', endpoint: socket.lastEndpoint ?? '' } as const;
        const record = await directory.announce({ scope: place, topic: name, publisher: bare.id, transport });
        return {
          ...bare,
          async [Symbol.asyncDispose]() {
            await record[Symbol.asyncDispose]();
            socket.close();
          },
        };
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }
  eventPlaneContract({ open, skip: [] });

  test.each(['127.0.0.1', 'localhost'])(
    'a connection to %s that broke and is back: joined again, and what was sent meanwhile is a gap',
    async (host) => {
      await using stage = await open();
      const port = await freePort();
      const address = `tcp://${host}:${port}`;
      const listenAt = async (): Promise<zmq.Publisher> => {
        const socket = new zmq.Publisher({ sendTimeout: 0 });
        await socket.bind(`tcp://127.0.0.1:${port}`);
        return socket;
      };
      const before = await bareAt(await listenAt(), topic, { topic });
      await stage.directory.announce({ scope, topic, publisher: before.id, transport: { kind: 'zmq', endpoint: address } });
      await using listener = new Listener(stage.hearing, scope, topic);
      await listener.meet(before.id);
      before.send(0);
      await listener.until(() => listener.words().at(-1) === 'event 0 ');
      await before[Symbol.asyncDispose]();
      await sleep(200);
      await using after = await bareAt(await listenAt(), topic, { topic, id: before.id });
      await listener.until(() => listener.words().at(-1) === 'joined');
      after.send(5);
      await listener.until(() => listener.words().at(-1) === 'event 5 ');
      expect(listener.words()).toEqual(['event 0 ', 'joined', 'gap 1-5', 'event 5 ']);
    },
  );

  test('a port that passed on to a publisher of another place is not listened to', async () => {
    await using stage = await open();
    const socket = new zmq.Publisher({ sendTimeout: 0 });
    await socket.bind('tcp://127.0.0.1:*');
    await using stranger = await bareAt(socket, topic, { topic });
    const gone = newPublisherId();
    const transport = { kind: 'zmq', endpoint: socket.lastEndpoint ?? '' } as const;
    await stage.directory.announce({ scope, topic, publisher: gone, transport });
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(gone);
    stranger.send(0, 'not for us');
    await expect.poll(() => stage.hearing.counts.ignored).toBe(1);
    // Once it is written down, it is heard, over the connection that there is.
    await stage.directory.announce({ scope, topic, publisher: stranger.id, transport });
    await listener.meet(stranger.id);
    stranger.send(1, 'for us');
    await listener.until(() => listener.changes.length > 0);
    expect(listener.words()).toEqual(['event 1 for us']);
  });

  test('a record without a usable address, or of another transport, is passed over', async () => {
    await using stage = await open();
    await stage.directory.announce({ scope, topic, publisher: 1n, transport: { kind: 'zmq', endpoint: 'nowhere' } });
    await stage.directory.announce({ scope, topic, publisher: 2n, transport: { kind: 'nats', subjectPrefix: 'x' } });
    await using publisher = await stage.speaking.publish(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(publisher.id);
    expect(stage.lines).toEqual(['ignored an event publisher without a usable address']);
  });
});

describe('through a broker', () => {
  eventPlaneContract({
    greets: true,
    open: async (options = {}) => {
      const directory = new TestDirectory();
      const { lines, log } = notebook();
      const stack = new AsyncDisposableStack();
      const broker = stack.use(await startBroker());
      return {
        speaking: stack.use(await plane(directory, { broker: broker.url, log, ...options })),
        hearing: stack.use(await plane(directory, { broker: broker.url, log, ...options })),
        lines,
        async bare(place, name) {
          const socket = new zmq.Publisher({ sendTimeout: 0 });
          socket.connect(broker.xsub);
          return bareAt(socket, eventSubject(place, name), { topic: name });
        },
        [Symbol.asyncDispose]: () => stack.disposeAsync(),
      };
    },
    skip: [{ case: 'a publisher that leaves is told of after its last message', reason: 'publishers have no record where there is a broker' }],
  });

  test('brokers that have written themselves down are found; messages that come by two of them come once', async () => {
    await using one = await startBroker();
    await using two = await startBroker();
    const directory = new TestDirectory();
    await using events = await plane(directory, { broker: 'discover' });
    await expect(events.publish(scope, topic)).rejects.toMatchObject({ code: 'unavailable', data: { namespace: 'ns' } });
    for (const [index, { xsub, xpub }] of [one, two].entries()) {
      const transport = { kind: 'zmq-broker', xsub: [xsub], xpub: [xpub] } as const;
      await directory.announce({ scope: { namespace: 'ns', component: 'zmq_broker' }, topic: 'broker', publisher: BigInt(index), transport });
    }
    await using publisher = await events.publish(scope, topic);
    await using listener = new Listener(events, scope, topic);
    const greet = (): number => publisher.publish(Buffer.from('hello'));
    await listener.meet(publisher.id, greet);
    // Heard by both: what comes twice is counted.
    await expect.poll(() => (greet(), events.counts.ignored)).toBeGreaterThan(0);
    const first = greet();
    for (let i = 0; i < 500; i++) publisher.publish(Buffer.from(`${i}`));
    await listener.until(() => listener.sequences().at(-1) === first + 500);
    const sequences = listener.sequences();
    expect(sequences.slice(-501)).toEqual(Array.from({ length: 501 }, (_, i) => first + i));
    expect(listener.words().filter((words) => words.startsWith('gap'))).toEqual([]);
    // One of them ends: nothing is missed.
    listener.changes.length = 0;
    await one[Symbol.asyncDispose]();
    for (let i = 0; i < 100; i++) publisher.publish(Buffer.from(`${i}`));
    await listener.until(() => listener.sequences().at(-1) === first + 600);
    expect(listener.words().filter((words) => words.startsWith('gap'))).toEqual([]);
  });

  test('a broker that ended and is back: joined again, and every number is an event or in a gap', async () => {
    const first = await startBroker();
    await using events = await plane(new TestDirectory(), { broker: first.url });
    await using publisher = await events.publish(scope, topic);
    await using listener = new Listener(events, scope, topic);
    const greet = (): number => publisher.publish(Buffer.from('hello'));
    await listener.meet(publisher.id, greet);
    const last = greet();
    await listener.until(() => listener.sequences().at(-1) === last);
    listener.changes.length = 0;
    await first[Symbol.asyncDispose]();
    await sleep(100);
    publisher.publish(Buffer.from('while it is away'));
    await using _second = await startBroker(first.ports);
    await listener.until(() => (greet(), listener.sequences().length > 0));
    const [again, ...more] = listener.changes;
    expect(again?.type).toBe('joined');
    // The socket keeps what it could not send: whether that was everything, the numbers tell.
    let next = last + 1;
    for (const change of more) {
      if (change.type === 'event') expect(change.sequence).toBe(next++);
      else if (change.type === 'gap') {
        expect(change.from).toBe(next);
        next = change.to;
      }
    }
    expect(next).toBeGreaterThan(last + 1);
  });

  test.each(['xsub=tcp://a:1', 'xsub=,xpub=tcp://a:1', 'tcp://a:1,tcp://b:2', 'xsub=tcp://a:1,xpub=tcp://b:1,xpub=tcp://c:1,x=', ''])(
    "'%s' is no list of brokers",
    (url) => {
      expect(() => parseBrokerUrl(url)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
    },
  );

  test('a list of brokers is read in either order', () => {
    const brokers = { xsub: ['tcp://a:1', 'tcp://b:1'], xpub: ['tcp://a:2'] };
    expect(parseBrokerUrl('xsub=tcp://a:1;tcp://b:1 , xpub=tcp://a:2')).toEqual(brokers);
    expect(parseBrokerUrl('xpub=tcp://a:2,xsub=tcp://a:1; tcp://b:1;')).toEqual(brokers);
  });
});
