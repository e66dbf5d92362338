import type { Publisher } from 'zeromq';
import { DynamoError } from '../../../error.ts';
import type { Logger } from '../../../log.ts';
import { formatAddress } from '../../../net/address.ts';
import { eventFramesWriter } from '../../../wire/event-frames.ts';
import { eventSubject } from '../../../wire/event-record.ts';
import type { EventDirectory } from '../directory.ts';
import type { EventScope } from '../event-plane.ts';
import { newPublisherId } from '../publisher-id.ts';
import type { PublisherParts } from '../publisher.ts';
import { highWaterMark, lingerMs, maxReconnectMs, type Zmq } from './sockets.ts';

/** What a publisher is opened with. */
export interface PublisherOptions {
  readonly zmq: Zmq;
  readonly log: Logger;
  readonly scope: EventScope;
  readonly topic: string;
}

/** Opens a socket of its own and writes its address down: subscribers connect to it. */
export async function openDirect(options: PublisherOptions & { directory: EventDirectory; host: string }): Promise<PublisherParts> {
  const { scope, topic, host, log } = options;
  await using undo = new AsyncDisposableStack();
  const ipv6 = host.includes(':');
  const socket = openSocket(options.zmq, { ipv6 });
  undo.defer(() => socket.close());
  await socket.bind(ipv6 ? 'tcp://[::]:*' : 'tcp://0.0.0.0:*').catch((cause: unknown) => {
    throw new DynamoError('cannot_connect', 'no port for an event publisher', { cause });
  });
  const port = Number(socket.lastEndpoint?.split(':').at(-1));
  const id = newPublisherId();
  const transport = { kind: 'zmq', endpoint: `tcp://${formatAddress(host, port)}` } as const;
  undo.use(await options.directory.announce({ scope, topic, publisher: id, transport }));
  return parts({ socket, id, routing: topic, topic, log, close: undo.move() });
}

/** Connects to brokers, which pass on to whoever subscribes at them. Nothing is written down (spec runtime-wire 13.2). */
export async function openBrokered(options: PublisherOptions & { xsub: readonly string[] }): Promise<PublisherParts> {
  const { scope, topic, log } = options;
  await using undo = new AsyncDisposableStack();
  const socket = openSocket(options.zmq, { reconnectMaxInterval: maxReconnectMs });
  undo.defer(() => socket.close());
  for (const address of options.xsub) connect(socket, address);
  return parts({ socket, id: newPublisherId(), routing: eventSubject(scope, topic), topic, log, close: undo.move() });
}

/** @throws DynamoError `invalid_argument` for what is no address. */
export function connect(socket: { connect(address: string): void }, address: string): void {
  try {
    socket.connect(address);
  } catch (cause) {
    throw new DynamoError('invalid_argument', `'${address}' is not an address of ZMQ`, { cause, data: { address } });
  }
}

/** A send that never waits: a publishing socket drops what a slow subscriber has no room for. */
const openSocket = (zmq: Zmq, more: ConstructorParameters<Zmq['Publisher']>[0]): Publisher =>
  new zmq.Publisher({ sendHighWaterMark: highWaterMark, sendTimeout: 0, linger: lingerMs, ...more });

function parts(options: { socket: Publisher; id: bigint; routing: string; topic: string; log: Logger; close: AsyncDisposableStack }): PublisherParts {
  const { socket, id, routing, topic, log, close } = options;
  const write = eventFramesWriter({ routing, publisher: id, topic });
  let failed = false;
  const onFailure = (error: unknown): void => {
    if (!failed)
      log.warn({ publisher: id.toString(16), topic, error: String(error) }, 'an event could not be sent; more of this publisher are not told');
    failed = true;
  };
  return {
    id,
    send: (body) => void socket.send(write(body)).catch(onFailure),
    close: () => close.disposeAsync(),
  };
}
