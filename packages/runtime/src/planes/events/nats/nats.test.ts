import { connect, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { notebook } from '../../../testing/notebook.ts';
import { missing, startNats, type TestServer } from '../../../testing/servers.ts';
import { envelopeWriter } from '../../../wire/event-envelope.ts';
import { eventSubject, subjectPrefix } from '../../../wire/event-record.ts';
import { createNatsLink } from '../../nats/connection.ts';
import { readNatsSettings } from '../../nats/settings.ts';
import { eventPlaneContract, type EventStage } from '../event-plane.contract.ts';
import type { EventPlane } from '../event-plane.ts';
import { newPublisherId } from '../publisher-id.ts';
import { defaultCapacity } from '../subscription.ts';
import { TestDirectory } from '../testing/directory.ts';
import { Listener } from '../testing/listener.ts';
import { natsEvents } from './index.ts';

const scope = { namespace: 'ns', component: 'backend', endpoint: 'generate' };
const topic = 'kv-events';
const why = missing('nats-server');

describe.skipIf(why !== undefined)(`over a real server (${why ?? 'installed'})`, () => {
  let server: TestServer;
  let bareConnection: NatsConnection;
  beforeAll(async () => {
    server = await startNats();
    bareConnection = await connect({ servers: server.url });
  });
  afterAll(async () => {
    await bareConnection.close();
    await server[Symbol.asyncDispose]();
  });

  /** A plane with a connection of its own, as each runtime has one. */
  async function plane(directory: TestDirectory, more: { capacity?: number; log?: ReturnType<typeof notebook>['log'] } = {}): Promise<EventPlane> {
    const { log = notebook().log, capacity = defaultCapacity } = more;
    const stack = new AsyncDisposableStack();
    const nats = stack.use(createNatsLink(readNatsSettings({ NATS_SERVER: server.url }), log));
    const events = stack.use(await natsEvents({ directory, nats, host: '', broker: undefined, capacity, log }));
    return { ...events, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  async function open(options: { capacity?: number } = {}): Promise<EventStage & { directory: TestDirectory }> {
    const directory = new TestDirectory();
    const { lines, log } = notebook();
    const stack = new AsyncDisposableStack();
    return {
      directory,
      speaking: stack.use(await plane(directory, { log, ...options })),
      hearing: stack.use(await plane(directory, { log, ...options })),
      lines,
      async bare(place, name) {
        const id = newPublisherId();
        const write = envelopeWriter(id, name);
        const transport = { kind: 'nats', subjectPrefix: subjectPrefix(place) } as const;
        const record = await directory.announce({ scope: place, topic: name, publisher: id, transport });
        const send = (bytes: Uint8Array): void => bareConnection.publish(eventSubject(place, name), bytes);
        return {
          id,
          send: (sequence, payload = '') => send(write({ sequence, publishedAt: Date.now(), payload: Buffer.from(payload) })),
          garble: () => send(Buffer.from('85ac', 'hex')),
          [Symbol.asyncDispose]: () => record[Symbol.asyncDispose](),
        };
      },
      [Symbol.asyncDispose]: () => stack.disposeAsync(),
    };
  }
  eventPlaneContract({ open, skip: [] });

  test('a publisher without a record is heard, and its last words after its end are not taken for a new one', async () => {
    await using stage = await open();
    await using listener = new Listener(stage.hearing, scope, topic);
    await using known = await stage.speaking.publish(scope, topic);
    await listener.meet(known.id);
    const unknown = newPublisherId();
    const write = envelopeWriter(unknown, topic);
    const say = (sequence: number): void =>
      bareConnection.publish(eventSubject(scope, topic), write({ sequence, publishedAt: Date.now(), payload: Buffer.from('x') }));
    say(4);
    await listener.until(() => listener.changes.length === 2);
    expect(listener.words(unknown)).toEqual(['joined', 'event 4 x']);
    const channel = { scope, topic, publisher: unknown, transport: { kind: 'nats', subjectPrefix: subjectPrefix(scope) } } as const;
    await (await stage.directory.announce(channel))[Symbol.asyncDispose]();
    await stage.directory.announce({ ...channel, publisher: 7n });
    await listener.until(() => listener.words(7n).length > 0);
    const record = await stage.directory.announce(channel);
    await new Promise(setImmediate);
    await record[Symbol.asyncDispose]();
    await listener.until(() => listener.words().at(-1) === 'left');
    say(5);
    await expect.poll(() => stage.hearing.counts.ignored).toBe(1);
    expect(listener.words(unknown)).toEqual(['joined', 'event 4 x', 'left']);
  });

  test('a message that the server would refuse is dropped and told, and shows as a gap', async () => {
    await using stage = await open();
    await using publisher = await stage.speaking.publish(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(publisher.id);
    publisher.publish(Buffer.from('before'));
    expect(publisher.publish(new Uint8Array(2 << 20))).toBe(1);
    publisher.publish(new Uint8Array(2 << 20));
    publisher.publish(Buffer.from('after'));
    await listener.until(() => listener.words().at(-1) === 'event 3 after');
    expect(listener.words()).toEqual(['event 0 before', 'gap 1-3', 'event 3 after']);
    expect(stage.lines).toEqual(['an event is larger than the NATS server takes; more of this publisher are not told']);
  });

  test('a server that ended and is back: joined again, and what was published meanwhile arrives as far as it was kept', async () => {
    await using stage = await open();
    await using publisher = await stage.speaking.publish(scope, topic);
    await using listener = new Listener(stage.hearing, scope, topic);
    await listener.meet(publisher.id);
    publisher.publish(Buffer.from('before'));
    await listener.until(() => listener.words().at(-1) === 'event 0 before');
    await server.kill();
    await expect.poll(() => stage.lines.filter((line) => line.startsWith('lost')).length).toBe(2);
    // 20 messages of 1 MB less a little: more than is kept for a server that is away.
    for (let i = 0; i < 20; i++) publisher.publish(new Uint8Array(1_000_000));
    await server.start();
    await listener.until(() => listener.words().includes('joined'));
    await expect
      .poll(() => publisher.publish(Buffer.from('after')) > 0 && listener.sequences().some((sequence) => sequence > 20), { timeout: 10_000 })
      .toBe(true);
    let next = 1;
    for (const change of listener.changes.slice(1)) {
      if (change.type === 'event') expect(change.sequence).toBe(next++);
      else if (change.type === 'gap') {
        expect(change.from).toBe(next);
        next = change.to;
      }
    }
    expect(listener.words().some((words) => words.startsWith('gap'))).toBe(true);
  });

  test('no server: a typed error, and the next try may find one', async () => {
    const { log } = notebook();
    await using nats = createNatsLink(readNatsSettings({ NATS_SERVER: 'nats://127.0.0.1:1' }), log);
    const opening = natsEvents({ directory: new TestDirectory(), nats, host: '', broker: undefined, capacity: 10, log });
    await expect(opening).rejects.toMatchObject({ code: 'cannot_connect' });
  });
});
