import { type Logger, silentLogger } from '../../../log.ts';
import { eventSubject } from '../../../wire/event-record.ts';
import { newCounts } from '../counts.ts';
import type { EventPlane } from '../event-plane.ts';
import type { EventFeed } from '../feed.ts';
import { newPublisherId } from '../publisher-id.ts';
import { Publishers, type PublisherParts } from '../publisher.ts';
import { defaultCapacity, Subscriptions } from '../subscription.ts';

/** Who speaks and who listens on one subject. */
export interface MemSubject {
  readonly publishers: Set<bigint>;
  readonly feeds: Set<EventFeed>;
}

/** Where planes of one process meet. Runtimes that are given the same one hear each other. */
export class MemEvents {
  readonly #subjects = new Map<string, MemSubject>();

  /** The speakers and listeners of a subject, made when first asked for. */
  subject(name: string): MemSubject {
    const known = this.#subjects.get(name);
    if (known !== undefined) return known;
    const made: MemSubject = { publishers: new Set(), feeds: new Set() };
    this.#subjects.set(name, made);
    return made;
  }

  /** Forgets a subject that nobody uses. */
  release(name: string): void {
    const subject = this.#subjects.get(name);
    if (subject !== undefined && subject.publishers.size + subject.feeds.size === 0) this.#subjects.delete(name);
  }
}

/** Events inside one process: what is published is with every subscriber when `publish` returns. */
export function memEvents(hub: MemEvents = new MemEvents(), options: { log?: Logger; capacity?: number } = {}): EventPlane {
  const { log = silentLogger, capacity = defaultCapacity } = options;
  const counts = newCounts();
  const subscriptions = new Subscriptions({ capacity, counts, log });
  const publishers = new Publishers();
  return {
    counts,
    publish: (scope, topic) => publishers.add(() => speak(hub, eventSubject(scope, topic))),
    subscribe: (scope, topic, subscribing) =>
      subscriptions.open(subscribing, async (feed, signal) => {
        const name = eventSubject(scope, topic);
        const subject = hub.subject(name);
        subject.feeds.add(feed);
        for (const publisher of subject.publishers) feed.joined(publisher);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        subject.feeds.delete(feed);
        hub.release(name);
      }),
    async [Symbol.asyncDispose]() {
      await publishers[Symbol.asyncDispose]();
      await subscriptions[Symbol.asyncDispose]();
    },
  };
}

function speak(hub: MemEvents, name: string): PublisherParts {
  const subject = hub.subject(name);
  const id = newPublisherId();
  subject.publishers.add(id);
  for (const feed of subject.feeds) feed.joined(id);
  return {
    id,
    send: (body) => {
      const envelope = { ...body, publisher: id, topic: name, payload: Uint8Array.from(body.payload) };
      for (const feed of subject.feeds) feed.message(envelope);
    },
    close: async () => {
      subject.publishers.delete(id);
      for (const feed of subject.feeds) feed.left(id);
      hub.release(name);
    },
  };
}
