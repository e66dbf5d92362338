/** Where events belong: a namespace, one of its components, or one endpoint (spec runtime-wire 3.1). */
export interface EventScope {
  readonly namespace: string;
  readonly component?: string;
  /** Only together with `component`. */
  readonly endpoint?: string;
}

/**
 * What a subscriber is told, in the order in which it happened.
 *
 * Nothing is lost silently: messages that a publisher sent and that did not arrive are told as a `gap`, also when this
 * subscriber's own buffer was full. Only a next message shows that one before it is missing; where no next one can be
 * counted on, because the way to the publisher was cut, `joined` is told again.
 */
export type EventChange =
  /**
   * A publisher can be heard from now on; what it sent before is not part of the subscription, so the first event may have
   * any sequence. Over ZMQ that is also true of what it sends within the moment in which the connection is made.
   *
   * Told again when the publisher began anew (its sequence starts over, which is no gap) and when a broken connection is
   * back (its sequence goes on, and a gap follows if the next message shows one): who keeps state of it asks for it anew.
   */
  | { readonly type: 'joined'; readonly publisher: bigint }
  /** One message. `payload` belongs to the reader and may be kept. */
  | { readonly type: 'event'; readonly publisher: bigint; readonly sequence: number; readonly publishedAt: number; readonly payload: Uint8Array }
  /** The messages `from` … `to - 1` of this publisher never arrived. A publisher that begins again at 0 is not a gap but `joined` again. */
  | { readonly type: 'gap'; readonly publisher: bigint; readonly from: number; readonly to: number }
  /** The publisher is gone from discovery. Through a ZMQ broker, where publishers have no record, it is never told of the living. */
  | { readonly type: 'left'; readonly publisher: bigint };

/** One sender of one topic, numbered from 0. Disposing withdraws its records and closes its socket after what is queued has left. */
export interface EventPublisher extends AsyncDisposable {
  /** 53 random bits (spec runtime-wire 1). */
  readonly id: bigint;
  /**
   * Sends one payload (msgpack of the event) at once; returns its sequence number. Never throws while the publisher is open.
   * Subscribers that are too slow, or away, find a gap where it would have been.
   *
   * @throws DynamoError `unavailable` once it is disposed.
   */
  publish(payload: Uint8Array): number;
}

/** How one subscription runs. */
export interface SubscribeOptions {
  /** Ends the subscription. */
  readonly signal: AbortSignal;
  /** How many changes may wait for the reader; default 100 000 (spec runtime-wire 2). Past it the oldest are dropped and told as gaps. */
  readonly capacity?: number;
}

/** What the subscriptions of a plane have met, added up. */
export interface EventCounts {
  /** Messages that could be read. */
  received: number;
  /** Messages that never arrived, as the gaps tell. */
  missed: number;
  /** Messages that were dropped since their reader was too slow; gaps tell these too. */
  overflowed: number;
  /** Messages that could not be read; each publisher of such is named in one log line. */
  malformed: number;
  /** Messages that came twice, or from a publisher that is none of the topic's. */
  ignored: number;
}

/** How events travel. One implementation a transport; all of them pass `event-plane.contract.ts`. */
export interface EventPlane extends AsyncDisposable {
  readonly counts: Readonly<EventCounts>;
  /** Opens a publisher and registers it where discovery needs it: resolved when subscribers can find it. */
  publish(scope: EventScope, topic: string): Promise<EventPublisher>;
  /**
   * Hears every publisher of the scope and topic, those of today and those to come.
   *
   * It begins with the first pull, and what arrives together is handed out as one batch (`batchesOf`). Iterate once; leaving
   * the loop closes everything.
   */
  subscribe(scope: EventScope, topic: string, options: SubscribeOptions): AsyncIterable<EventChange>;
}
