/** A fact of a span. */
export type SpanValue = string | number | bigint | boolean;

/** How a span begins. */
export interface SpanOptions {
  /** Whether it stands for work inside, for a request that came, or for one that is sent. */
  readonly kind: 'internal' | 'server' | 'client';
  /** `traceparent` of the span above it, here or in another process; one that is malformed counts as none. */
  readonly parent?: string | undefined;
  /** Vendor part of the trace context, passed on unchanged. */
  readonly tracestate?: string | undefined;
  readonly attributes?: Readonly<Record<string, SpanValue | undefined>>;
}

/** A piece of work within a trace (W3C trace context). It must be ended. */
export interface Span {
  /** 32 hex digits, the same in every process that the request passes. */
  readonly traceId: string;
  /** 16 hex digits of this span. */
  readonly spanId: string;
  /** What the next hop needs to join: `00-TRACE-SPAN-FLAGS`. */
  readonly traceparent: string;
  /** Adds or replaces a fact. */
  set(name: string, value: SpanValue): void;
  /** Marks a moment of it. */
  event(name: string, attributes?: Readonly<Record<string, SpanValue>>): void;
  /** Says that it failed, and by which sort of error. */
  fail(type: string): void;
  /** What log lines of this span carry: its name, ids and facts, named as in the real system's lines. */
  facts(): Record<string, SpanValue>;
  end(): void;
}

/** Makes spans. A runtime without tracing has none, which costs nothing. Disposing hands over the last spans. */
export interface Tracer extends AsyncDisposable {
  start(name: string, options: SpanOptions): Span;
}

/** A span that has ended. */
export interface EndedSpan {
  readonly name: string;
  readonly kind: SpanOptions['kind'];
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId: string | undefined;
  /** Whether the span above it is in another process. */
  readonly remoteParent: boolean;
  readonly flags: number;
  readonly tracestate: string | undefined;
  /** Milliseconds since the epoch, microseconds behind the point. */
  readonly start: number;
  readonly end: number;
  readonly attributes: Readonly<Record<string, SpanValue | undefined>>;
  readonly events: readonly { readonly name: string; readonly time: number; readonly attributes: Readonly<Record<string, SpanValue>> }[];
  readonly error: string | undefined;
}

/** Where ended spans go. It never waits and never throws; what it has no room for is counted. */
export interface SpanExporter extends AsyncDisposable {
  export(span: EndedSpan): void;
}
