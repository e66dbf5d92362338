import type { Logger } from '../../log.ts';
import type { EventEnvelope } from '../../wire/event-envelope.ts';
import { Backlog } from './backlog.ts';
import type { EventChange, EventCounts } from './event-plane.ts';

/** How a feed judges what its transport brings. */
export interface FeedOptions {
  readonly capacity: number;
  readonly counts: EventCounts;
  readonly log: Logger;
  /** A message may come twice, by way of several brokers; elsewhere a sequence that goes back is a publisher that began anew. */
  readonly mayRepeat?: boolean;
  /** Only publishers that were expected are heard: a port may have passed on to a publisher of another topic. */
  readonly onlyExpected?: boolean;
  readonly maxPublishers?: number;
}

/** What is known of one publisher. */
interface Heard {
  /** Whether the reader knows that it is there. */
  told: boolean;
  /** The sequence of its next message; undefined before the first. */
  next: number | undefined;
  publishedAt: number;
}

/** Publishers that one subscription keeps count of by default; past it the one known longest is told as left, until it is heard again. */
const mostPublishers = 16_384;
/** Most names remembered of publishers that are gone or that were logged about. */
const maxNames = 1_024;

/**
 * Between a transport and the reader of one subscription: numbers are checked, gaps told, and what the reader has not taken
 * yet is kept up to a limit.
 */
export class EventFeed {
  readonly #options: FeedOptions;
  readonly #backlog: Backlog;
  readonly #heard = new Map<bigint, Heard>();
  readonly #gone = new Set<bigint>();
  readonly #logged = new Set<string>();
  #bell: (() => void) | undefined;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: FeedOptions) {
    this.#options = options;
    this.#backlog = new Backlog(options.capacity);
  }

  /** Whom the reader knows. */
  get publishers(): readonly bigint[] {
    return [...this.#heard].filter(([, heard]) => heard.told).map(([publisher]) => publisher);
  }

  /** Its messages may come from now on; `joined` is told with the first, or when the transport says so. */
  expect(publisher: bigint): void {
    this.#gone.delete(publisher);
    if (!this.#heard.has(publisher)) this.#know(publisher);
  }

  /** It can be heard: told unless the reader knows. */
  reached(publisher: bigint): void {
    if (this.#heard.get(publisher)?.told !== true) this.joined(publisher);
  }

  /** It can be heard, for the first time or again: told in any case. */
  joined(publisher: bigint): void {
    this.#gone.delete(publisher);
    const heard = this.#heard.get(publisher) ?? this.#know(publisher);
    heard.told = true;
    this.#tell({ type: 'joined', publisher });
  }

  /** It is gone. */
  left(publisher: bigint): void {
    if (this.#forget(publisher)) remember(this.#gone, publisher);
  }

  /** One message, in the order in which its transport brought it. */
  message(envelope: EventEnvelope): void {
    const { publisher, sequence, publishedAt, payload } = envelope;
    const heard = this.#heard.get(publisher) ?? this.#stranger(publisher);
    if (heard === undefined || (heard.next !== undefined && sequence < heard.next && this.#repeated(heard, envelope))) {
      this.#options.counts.ignored++;
      return;
    }
    this.#options.counts.received++;
    this.reached(publisher);
    if (heard.next !== undefined && sequence !== heard.next) this.#jump(publisher, heard.next, sequence);
    heard.next = sequence + 1;
    heard.publishedAt = publishedAt;
    this.#tell({ type: 'event', publisher, sequence, publishedAt, payload });
  }

  /** A message that could not be read. If it was one of a publisher's, the next one shows the gap. */
  malformed(from: string, error: unknown): void {
    this.#options.counts.malformed++;
    if (this.#logged.has(from)) return;
    remember(this.#logged, from);
    this.#options.log.warn(
      { publisher: from, error: String(error) },
      'ignored an event that could not be read; more of this publisher are only counted',
    );
  }

  /** Ends the reader's loop at once. */
  end(): void {
    this.#ended = true;
    this.#ring();
  }

  /** Throws in the reader's loop, after what has come before. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#ring();
  }

  /** What has come, whenever the reader is ready for more. One reader. */
  async *batches(): AsyncGenerator<readonly EventChange[]> {
    while (!this.#ended) {
      if (!this.#backlog.empty) yield this.#backlog.take();
      else if (this.#failure !== undefined) throw this.#failure.error;
      else await new Promise<void>((resolve) => (this.#bell = resolve));
    }
  }

  #know(publisher: bigint): Heard {
    const [longest] = this.#heard.keys();
    if (this.#heard.size >= (this.#options.maxPublishers ?? mostPublishers) && longest !== undefined) this.#forget(longest);
    const heard: Heard = { told: false, next: undefined, publishedAt: 0 };
    this.#heard.set(publisher, heard);
    return heard;
  }

  #forget(publisher: bigint): boolean {
    const heard = this.#heard.get(publisher);
    this.#heard.delete(publisher);
    if (heard?.told === true) this.#tell({ type: 'left', publisher });
    return heard !== undefined;
  }

  #stranger(publisher: bigint): Heard | undefined {
    return this.#options.onlyExpected === true || this.#gone.has(publisher) ? undefined : this.#know(publisher);
  }

  /** Where messages may come twice, only the time at which it was sent tells a copy from the message of a publisher that began anew. */
  #repeated(heard: Heard, envelope: EventEnvelope): boolean {
    return this.#options.mayRepeat === true && envelope.publishedAt <= heard.publishedAt;
  }

  #jump(publisher: bigint, next: number, sequence: number): void {
    const from = sequence < next ? 0 : next;
    if (sequence < next) this.joined(publisher);
    if (sequence === from) return;
    this.#options.counts.missed += sequence - from;
    this.#tell({ type: 'gap', publisher, from, to: sequence });
  }

  #tell(change: EventChange): void {
    if (this.#ended) return;
    this.#options.counts.overflowed += this.#backlog.add(change);
    this.#ring();
  }

  /** Wakes the reader at the end of this turn of the event loop, so that it finds all that the turn brought. */
  #ring(): void {
    if (this.#bell === undefined) return;
    setImmediate(this.#bell);
    this.#bell = undefined;
  }
}

function remember<T>(names: Set<T>, name: T): void {
  const [oldest] = names;
  if (names.size >= maxNames && oldest !== undefined) names.delete(oldest);
  names.add(name);
}
