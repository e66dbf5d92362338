/** What a handler is told about the request that it answers. */
export interface HandlerContext {
  /** The request's id: chosen by the caller, a UUID by default. */
  readonly id: string;
  /** Aborts when the caller stops, kills or leaves the stream; the reason is a `DynamoError` with code `cancelled`. */
  readonly signal: AbortSignal;
  /** Text pairs that the caller attached to the request. */
  readonly metadata: Readonly<Record<string, string>>;
  /** W3C trace context of the caller, when it sent one. */
  readonly traceparent?: string;
}

/**
 * Answers one request with a stream of items.
 *
 * A thrown error reaches the caller as a typed error after the items already yielded; see `DynamoError` for the codes.
 */
export type Handler<Req, Res> = (request: Req, context: HandlerContext) => AsyncIterable<Res>;
