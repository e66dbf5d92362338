import { type BatchedIterable, itemsOf } from '../../async/batches.ts';
import { linkSignals } from '../../async/cancellation.ts';
import type { Logger } from '../../log.ts';
import type { EventChange, EventCounts, SubscribeOptions } from './event-plane.ts';
import { EventFeed, type FeedOptions } from './feed.ts';

/** How many changes may wait for a reader that says nothing about it (spec runtime-wire 2). */
export const defaultCapacity = 100_000;

/** Brings what is heard into a feed until the signal aborts, and has closed everything when it settles. */
export type Listen = (feed: EventFeed, signal: AbortSignal) => Promise<void>;

/** The open subscriptions of one plane. Disposing ends them and waits until their sockets are closed. */
export class Subscriptions implements AsyncDisposable {
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #capacity: number;
  readonly #shared: { readonly counts: EventCounts; readonly log: Logger };

  constructor(options: { capacity: number; counts: EventCounts; log: Logger }) {
    this.#capacity = options.capacity;
    this.#shared = { counts: options.counts, log: options.log };
  }

  /** Makes a subscription that listens from the first pull to the end of its loop, its signal, or the plane. */
  open(options: SubscribeOptions & Pick<FeedOptions, 'mayRepeat' | 'onlyExpected'>, listen: Listen): BatchedIterable<EventChange> {
    return itemsOf(() => this.#batches(options, listen));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async *#batches(
    options: SubscribeOptions & Pick<FeedOptions, 'mayRepeat' | 'onlyExpected'>,
    listen: Listen,
  ): AsyncGenerator<readonly EventChange[]> {
    const leaving = new AbortController();
    using linked = linkSignals(options.signal, this.#closing.signal, leaving.signal);
    if (linked.signal.aborted) return;
    const { signal, capacity = this.#capacity, ...judging } = options;
    const feed = new EventFeed({ ...this.#shared, ...judging, capacity });
    // The linked signal is this subscription's own: both are collected together.
    linked.signal.addEventListener('abort', () => feed.end(), { once: true });
    const running = listen(feed, linked.signal).catch((error: unknown) => feed.fail(error));
    this.#running.add(running);
    try {
      yield* feed.batches();
    } finally {
      leaving.abort();
      await running;
      this.#running.delete(running);
    }
  }
}
