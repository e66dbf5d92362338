import type { Logger } from '../../../log.ts';
import type { EventDirectory } from '../directory.ts';
import type { EventScope } from '../event-plane.ts';
import type { EventFeed } from '../feed.ts';
import { Addresses } from './addresses.ts';
import { highWaterMark, maxReconnectMs, observeAll, receiveAll, takeFrames, type Zmq } from './sockets.ts';

/** Listens to every publisher of a topic that the directory names, each at its own address. */
export async function listenDirect(
  options: { zmq: Zmq; directory: EventDirectory; scope: EventScope; topic: string; log: Logger },
  feed: EventFeed,
  signal: AbortSignal,
): Promise<void> {
  const { directory, scope, topic, log } = options;
  const socket = new options.zmq.Subscriber({ receiveHighWaterMark: highWaterMark, reconnectMaxInterval: maxReconnectMs, linger: 0 });
  const routing = Buffer.from(topic);
  socket.subscribe(topic);
  const addresses = new Addresses(socket, feed, log);
  const sockets = [
    receiveAll(socket, (frames) => takeFrames(feed, frames, routing)),
    observeAll(socket, { stands: (address) => addresses.stands(address), breaks: (address) => addresses.breaks(address) }),
  ];
  const close = (): void => {
    addresses.close();
    socket.close();
  };
  signal.addEventListener('abort', close, { once: true });
  try {
    if (signal.aborted) return;
    await Promise.race([...sockets, follow(directory.watch(scope, topic, { signal }), addresses)]);
  } finally {
    signal.removeEventListener('abort', close);
    close();
    await Promise.allSettled(sockets);
  }
}

async function follow(changes: ReturnType<EventDirectory['watch']>, addresses: Addresses): Promise<void> {
  for await (const change of changes) {
    if (change.type === 'delete') addresses.remove(change.publisher);
    else if (change.channel.transport.kind === 'zmq') addresses.add(change.channel.publisher, change.channel.transport.endpoint);
  }
}
