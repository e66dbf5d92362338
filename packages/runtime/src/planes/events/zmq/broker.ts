import { DynamoError } from '../../../error.ts';
import { eventSubject } from '../../../wire/event-record.ts';
import type { EventDirectory } from '../directory.ts';
import type { EventScope } from '../event-plane.ts';
import type { EventFeed } from '../feed.ts';
import { connect } from './publisher.ts';
import { highWaterMark, maxReconnectMs, observeAll, receiveAll, takeFrames, type Zmq } from './sockets.ts';

/** Where brokers are published to and where they are heard. */
export interface BrokerAddresses {
  readonly xsub: readonly string[];
  readonly xpub: readonly string[];
}

/** The component in which brokers write themselves down (spec runtime-wire 13.2). */
const brokerComponent = 'zmq_broker';

/**
 * Reads `xsub=tcp://h:p[;…] , xpub=tcp://h:p[;…]`, in either order.
 *
 * @throws DynamoError `invalid_argument` for anything else.
 */
export function parseBrokerUrl(url: string): BrokerAddresses {
  const parts = new Map(url.split(',').map((part) => part.trim().split('=', 2) as [string, string | undefined]));
  const addresses = (name: string): string[] => (parts.get(name) ?? '').split(';').flatMap((text) => text.trim() || []);
  const found = { xsub: addresses('xsub'), xpub: addresses('xpub') };
  if (parts.size === 2 && found.xsub.length > 0 && found.xpub.length > 0) return found;
  throw new DynamoError('invalid_argument', `DYN_ZMQ_BROKER_URL='${url}': expected 'xsub=<urls> , xpub=<urls>'`, { data: { url } });
}

/**
 * The brokers that have written themselves down in a namespace.
 *
 * @throws DynamoError `unavailable` when there is none.
 */
export async function findBrokers(directory: EventDirectory, namespace: string): Promise<BrokerAddresses> {
  const channels = await directory.list({ namespace, component: brokerComponent });
  const brokers = channels.flatMap(({ transport }) => (transport.kind === 'zmq-broker' ? transport : []));
  const found = { xsub: brokers.flatMap((broker) => broker.xsub), xpub: brokers.flatMap((broker) => broker.xpub) };
  if (found.xsub.length > 0 && found.xpub.length > 0) return found;
  throw new DynamoError('unavailable', `DYN_ZMQ_BROKER_ENABLED is set but no broker found in discovery for namespace '${namespace}'`, {
    data: { namespace },
  });
}

/** Listens to a topic at every broker. Publishers have no record there: one is known from its first message on. */
export async function listenBrokered(
  options: { zmq: Zmq; xpub: readonly string[]; scope: EventScope; topic: string },
  feed: EventFeed,
  signal: AbortSignal,
): Promise<void> {
  const socket = new options.zmq.Subscriber({ receiveHighWaterMark: highWaterMark, reconnectMaxInterval: maxReconnectMs, linger: 0 });
  const subject = eventSubject(options.scope, options.topic);
  const routing = Buffer.from(subject);
  const broken = new Set<string>();
  const close = (): void => socket.close();
  signal.addEventListener('abort', close, { once: true });
  const sockets: Promise<void>[] = [];
  try {
    if (signal.aborted) return;
    socket.subscribe(subject);
    for (const address of options.xpub) connect(socket, address);
    sockets.push(
      receiveAll(socket, (frames) => takeFrames(feed, frames, routing)),
      observeAll(socket, {
        stands: (address) => broken.delete(address) && feed.publishers.forEach((publisher) => feed.joined(publisher)),
        breaks: (address) => broken.add(address),
      }),
    );
    await Promise.race(sockets);
  } finally {
    signal.removeEventListener('abort', close);
    close();
    await Promise.allSettled(sockets);
  }
}
