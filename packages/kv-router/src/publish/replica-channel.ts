import { DynamoError, type Logger } from '@dynamo/runtime';
import type { Publisher, Subscriber } from 'zeromq';
import { checkAddress } from './zmq-address.ts';

/** What the replicas of a service tell each other, without any plane: each publishes, and listens to the peers that it is told of. */
export interface ReplicaChannel extends AsyncDisposable {
  readonly peers: readonly string[];
  /** Tells all who listen to us; what can't leave is dropped. */
  publish(payload: Uint8Array): void;
  /** False when the peer is known already. @throws DynamoError `invalid_argument` for an address that can't be. */
  add(address: string): boolean;
  /** False when no such peer is known. */
  remove(address: string): boolean;
}

/** How a channel is opened. */
export interface ReplicaChannelOptions {
  readonly topic: string;
  /** Where others listen to us; without a port nobody does. */
  readonly port?: number | undefined;
  readonly peers?: readonly string[] | undefined;
  readonly take: (payload: Uint8Array) => void;
  readonly log: Logger;
}

/** Opens the channel of one service; it listens to nobody until it is told of peers. */
export async function openReplicaChannel(options: ReplicaChannelOptions): Promise<ReplicaChannel> {
  const { port, peers = [], topic } = options;
  const { Publisher, Subscriber } = await import('zeromq');
  const publisher = port === undefined ? undefined : new Publisher({ linger: 0 });
  if (publisher !== undefined) await bind(publisher, port ?? 0);
  const channel = new Channel(options, publisher, new Subscriber({ linger: 0 }));
  for (const peer of peers) channel.add(peer);
  channel.listen(topic);
  return channel;
}

async function bind(publisher: Publisher, port: number): Promise<void> {
  try {
    await publisher.bind(`tcp://0.0.0.0:${port === 0 ? '*' : port}`);
  } catch (cause) {
    publisher.close();
    throw new DynamoError('invalid_argument', `the replica sync port ${port} can't be opened`, { cause, data: { port } });
  }
}

class Channel implements ReplicaChannel {
  readonly #options: ReplicaChannelOptions;
  readonly #publisher: Publisher | undefined;
  readonly #subscriber: Subscriber;
  readonly #peers = new Set<string>();
  #sending: Promise<void> = Promise.resolve();
  #waiting = 0;
  #ended: Promise<void> = Promise.resolve();

  constructor(options: ReplicaChannelOptions, publisher: Publisher | undefined, subscriber: Subscriber) {
    this.#options = options;
    this.#publisher = publisher;
    this.#subscriber = subscriber;
  }

  get peers(): readonly string[] {
    return [...this.#peers];
  }

  listen(topic: string): void {
    const { take, log } = this.#options;
    this.#subscriber.subscribe(topic);
    this.#ended = (async () => {
      for await (const [name, payload] of this.#subscriber) {
        if (payload === undefined || name?.toString() !== topic) continue;
        try {
          take(payload);
        } catch (error) {
          log.warn({ error: String(error) }, "a replica's message is unreadable: dropped");
        }
      }
    })().catch((error: unknown) => log.error({ error: String(error) }, 'the replicas are heard no more'));
  }

  publish(payload: Uint8Array): void {
    const publisher = this.#publisher;
    // A socket takes one message at a time; best effort, so no more than these wait.
    if (publisher === undefined || this.#waiting >= 10_000) return;
    this.#waiting++;
    this.#sending = this.#sending
      .then(() => publisher.send([this.#options.topic, Buffer.from(payload)]))
      .catch((error: unknown) => this.#options.log.debug({ error: String(error) }, 'the replicas were not told'))
      .finally(() => this.#waiting--);
  }

  add(address: string): boolean {
    checkAddress(address);
    if (this.#peers.has(address)) return false;
    try {
      this.#subscriber.connect(address);
    } catch (cause) {
      throw new DynamoError('invalid_argument', `invalid ZMQ endpoint \`${address}\`: ${(cause as Error).message}`, { cause });
    }
    this.#peers.add(address);
    return true;
  }

  remove(address: string): boolean {
    if (!this.#peers.delete(address)) return false;
    this.#subscriber.disconnect(address);
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sending;
    this.#publisher?.close();
    this.#subscriber.close();
    await this.#ended;
  }
}
