/** What a handler is told about the request that it answers. */
export interface HandlerContext {
  /** The request's id: chosen by the caller, a UUID by default. */
  readonly id: string;
  /** Aborts when the caller stops, kills or leaves the stream; the reason is a `DynamoError` with code `cancelled`, its `data.kind` says `stop` or `kill`. */
  readonly signal: AbortSignal;
  /** Aborts at kill alone, also at one that comes after a stop. */
  readonly killSignal: AbortSignal;
  /** Text pairs that the caller attached to the request. */
  readonly metadata: Readonly<Record<string, string>>;
  /** W3C trace context of this request, with a span of its own below the caller's; absent when the caller sent none. */
  readonly traceparent?: string;
  /** Headers that tell another service of the trace and the request: `traceparent`, `tracestate`, `request-id`, `x-request-id`, as far as they are known. */
  traceHeaders(): Record<string, string>;
}

/**
 * Answers one request with a stream of items.
 *
 * A thrown error reaches the caller as a typed error after the items already yielded; see `DynamoError` for the codes. Pass
 * the context to calls that the handler makes itself, as `{ context }`: they are stopped and killed with it and join its trace.
 *
 * An endpoint that is served with `input: 'stream'` gets an `AsyncIterable` of the caller's items as its request. Its end
 * says that the caller has sent all, and nothing about the answer; it throws when the caller ends early. A request that is
 * one item arrives as a stream of that one.
 */
export type Handler<Req, Res> = (request: Req, context: HandlerContext) => AsyncIterable<Res>;
