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
 * subscriber's own buffer was full.
 */
export type EventChange =
  /** A publisher can be heard from now on; what it sent before is not part of the subscription. */
  | { readonly type: 'joined'; readonly publisher: bigint }
  /** One message. `payload` is a copy, which may be kept. */
  | { readonly type: 'event'; readonly publisher: bigint; readonly sequence: number; readonly publishedAt: number; readonly payload: Uint8Array }
  /** The messages `from` … `to - 1` of this publisher never arrived. A publisher that begins again at 0 is not a gap but `joined` again. */
  | { readonly type: 'gap'; readonly publisher: bigint; readonly from: number; readonly to: number }
  /** The publisher is gone from discovery. */
  | { readonly type: 'left'; readonly publisher: bigint };

/** One sender of one topic, numbered from 0. Disposing withdraws its records and closes its socket after what is queued has left. */
export interface EventPublisher extends AsyncDisposable {
  /** 53 random bits (spec runtime-wire 1). */
  readonly id: bigint;
  /** Sends one payload (msgpack of the event) at once; returns its sequence number. Never throws while the publisher is open. */
  publish(payload: Uint8Array): number;
}

/** How one subscription runs. */
export interface SubscribeOptions {
  /** Ends the subscription. */
  readonly signal: AbortSignal;
  /** How many changes may wait for the reader; default 100 000 (spec runtime-wire 2). Past it the oldest are dropped and told as gaps. */
  readonly capacity?: number;
}

/** How events travel. One implementation a transport; all of them pass `event-plane.contract.ts`. */
export interface EventPlane extends AsyncDisposable {
  /** Opens a publisher and registers it where discovery needs it: resolved when subscribers can find it. */
  publish(scope: EventScope, topic: string): Promise<EventPublisher>;
  /** Hears every publisher of the scope and topic, those of today and those to come. */
  subscribe(scope: EventScope, topic: string, options: SubscribeOptions): AsyncIterable<EventChange>;
}
