import { DynamoError } from '../../error.ts';
import type { EventBody } from '../../wire/event-envelope.ts';
import type { EventPublisher } from './event-plane.ts';

/** What a transport adds to a publisher. */
export interface PublisherParts {
  readonly id: bigint;
  /** Sends one message, or drops it; never throws. */
  send(body: EventBody): void;
  /** Withdraws the records and closes what was opened. */
  close(): Promise<void>;
}

/** The open publishers of one plane. Disposing closes them. */
export class Publishers implements AsyncDisposable {
  readonly #open = new Set<EventPublisher>();
  #closed = false;

  /**
   * Makes a publisher that counts its messages and leaves the set when it is disposed.
   *
   * @throws DynamoError `unavailable` when the plane is closed, or closes meanwhile.
   */
  async add(open: () => PublisherParts | Promise<PublisherParts>): Promise<EventPublisher> {
    if (this.#closed) throw planeClosed();
    const publisher = this.#count(await open());
    if (!this.#closed) return publisher;
    await publisher[Symbol.asyncDispose]();
    throw planeClosed();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#open].map((publisher) => publisher[Symbol.asyncDispose]()));
  }

  #count(parts: PublisherParts): EventPublisher {
    let next = 0;
    let closing: Promise<void> | undefined;
    const publisher: EventPublisher = {
      id: parts.id,
      publish: (payload) => {
        if (closing !== undefined) throw new DynamoError('unavailable', 'the event publisher is closed');
        const sequence = next++;
        parts.send({ sequence, publishedAt: Date.now(), payload });
        return sequence;
      },
      [Symbol.asyncDispose]: () => {
        this.#open.delete(publisher);
        return (closing ??= parts.close());
      },
    };
    this.#open.add(publisher);
    return publisher;
  }
}

const planeClosed = (): DynamoError => new DynamoError('unavailable', 'the event plane is closed');
