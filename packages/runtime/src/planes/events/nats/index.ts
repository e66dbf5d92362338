import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../../../log.ts';
import { decodeEnvelope, envelopeWriter } from '../../../wire/event-envelope.ts';
import { eventSubject, subjectPrefix } from '../../../wire/event-record.ts';
import type { NatsConnection } from '../../nats/connection.ts';
import { newCounts } from '../counts.ts';
import type { EventDirectory } from '../directory.ts';
import type { EventPlane, EventScope } from '../event-plane.ts';
import type { EventFeed } from '../feed.ts';
import type { EventPlaneOptions } from '../index.ts';
import { newPublisherId } from '../publisher-id.ts';
import { Publishers, type PublisherParts } from '../publisher.ts';
import { Subscriptions } from '../subscription.ts';

/** How much is kept for a server that is away, for each runtime; what is published past it is dropped and shows as a gap. In bytes. */
const maxUnsentBytes = 8 * 1024 * 1024;

/** How long what was published may take to leave when a publisher closes, in milliseconds. */
const flushMs = 1_000;

/** How long a publisher that left discovery is still heard: its last messages take another way than its record. In milliseconds. */
const leaveMs = 250;

/** What all publishers of a plane have to know of the connection. */
interface Outage {
  away: boolean;
  unsentBytes: number;
}

/** Events over core NATS (spec runtime-wire 13.3): nothing is stored, who is not subscribed hears nothing. */
export async function natsEvents(options: EventPlaneOptions): Promise<EventPlane> {
  const { directory, nats, capacity, log } = options;
  const connection = await nats.open();
  const counts = newCounts();
  const outage: Outage = { away: false, unsentBytes: 0 };
  const stack = new AsyncDisposableStack();
  stack.use(
    nats.onChange((connected) => {
      outage.away = !connected;
      outage.unsentBytes = 0;
    }),
  );
  const subscriptions = stack.use(new Subscriptions({ capacity, counts, log }));
  const publishers = stack.use(new Publishers());
  return {
    counts,
    publish: (scope, topic) => publishers.add(() => speak({ connection, directory, outage, log, scope, topic })),
    subscribe: (scope, topic, subscribing) =>
      subscriptions.open(subscribing, async (feed, signal) => {
        const stopped = connection.subscribe(eventSubject(scope, topic), { callback: (_, message) => take(feed, message.data) });
        using _back = nats.onChange((connected) => connected && feed.publishers.forEach((publisher) => feed.joined(publisher)));
        try {
          // The server knows of the subscription before anybody is told as heard.
          await Promise.race([connection.flush(), aborted(signal)]);
          await follow(directory.watch(scope, topic, { signal }), feed, signal);
        } finally {
          stopped.unsubscribe();
        }
      }),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function speak(options: {
  connection: NatsConnection;
  directory: EventDirectory;
  outage: Outage;
  log: Logger;
  scope: EventScope;
  topic: string;
}): Promise<PublisherParts> {
  const { connection, directory, outage, log, scope, topic } = options;
  const id = newPublisherId();
  const subject = eventSubject(scope, topic);
  const write = envelopeWriter(id, topic);
  const transport = { kind: 'nats', subjectPrefix: subjectPrefix(scope) } as const;
  const record = await directory.announce({ scope, topic, publisher: id, transport });
  let told = false;
  const tellTooLarge = (length: number): void => {
    if (!told)
      log.warn({ publisher: id.toString(16), topic, length }, 'an event is larger than the NATS server takes; more of this publisher are not told');
    told = true;
  };
  return {
    id,
    send(body) {
      const bytes = write(body);
      // What the server would refuse ends the connection for everybody.
      if (bytes.length > (connection.info?.max_payload ?? Infinity)) return tellTooLarge(bytes.length);
      if (outage.away && (outage.unsentBytes += bytes.length) > maxUnsentBytes) return;
      if (!connection.isClosed()) connection.publish(subject, bytes);
    },
    async close() {
      const flushed = connection.flush().catch(() => {}); // Without a server there is nothing to wait for.
      await Promise.race([flushed, sleep(flushMs, undefined, { ref: false })]);
      await record[Symbol.asyncDispose]();
    },
  };
}

async function follow(changes: ReturnType<EventDirectory['watch']>, feed: EventFeed, signal: AbortSignal): Promise<void> {
  const present = new Set<bigint>();
  for await (const change of changes) {
    if (change.type === 'put' && change.channel.transport.kind === 'nats') {
      present.add(change.channel.publisher);
      feed.reached(change.channel.publisher);
    } else if (change.type === 'delete' && present.delete(change.publisher)) {
      // It never rejects.
      void sleep(leaveMs, undefined, { ref: false, signal })
        .then(() => present.has(change.publisher) || feed.left(change.publisher))
        .catch(() => {});
    }
  }
}

function take(feed: EventFeed, data: Uint8Array): void {
  try {
    // A copy: the bytes lie in a buffer of the socket, which one kept event would hold.
    feed.message(decodeEnvelope(Buffer.from(data)));
  } catch (error) {
    feed.malformed('', error);
  }
}

const aborted = (signal: AbortSignal): Promise<unknown> => new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
