import { randomFillSync } from 'node:crypto';
import { type FineClock, fineClock } from '../log/clock.ts';
import { readTraceparent } from './traceparent.ts';
import type { EndedSpan, Span, SpanExporter, SpanOptions, SpanValue, Tracer } from './tracer.ts';

/** Most facts and moments that one span keeps. */
const mostFacts = 128;

/** What a tracer is made of. */
export interface RecordingTracerOptions {
  /** Where recorded spans go; without it spans have ids, for headers and log lines, and are not recorded. */
  readonly exporter?: SpanExporter;
  /** Which part of the traces that begin here is recorded, from 0 to 1; default 1. Traces that come from outside keep their flag. */
  readonly sampleRatio?: number;
  readonly clock?: FineClock;
  /** Fills a buffer with random bytes. */
  readonly random?: (buffer: Buffer) => void;
}

/** Makes spans with ids, and gives the ended ones that are recorded to an exporter. */
export function recordingTracer(options: RecordingTracerOptions = {}): Tracer {
  const { exporter, sampleRatio = 1, clock = fineClock(), random = randomFillSync } = options;
  const ids = idSource(random);
  return {
    start(name, how) {
      const above = how.parent === undefined ? undefined : readTraceparent(how.parent);
      const traceId = above?.traceId ?? ids(16);
      const flags = above?.flags ?? (sampled(traceId, sampleRatio) ? '01' : '00');
      const record = exporter !== undefined && (Number.parseInt(flags, 16) & 1) === 1;
      return new RecordedSpan(name, { traceId, spanId: ids(8), flags, parentId: above?.spanId, how, clock, ...(record ? { exporter } : {}) });
    },
    [Symbol.asyncDispose]: async () => exporter?.[Symbol.asyncDispose](),
  };
}

/** A trace is recorded everywhere or nowhere: its own id decides (the last 7 bytes, as other tracers take them). */
const sampled = (traceId: string, ratio: number): boolean => ratio >= 1 || Number.parseInt(traceId.slice(-13), 16) < ratio * 2 ** 52;

/** Hex ids from random bytes that are fetched some hundred at a time: one fetch an id would be most of its cost. */
function idSource(random: (buffer: Buffer) => void): (bytes: number) => string {
  const pool = Buffer.alloc(4096);
  let at = pool.length;
  return (bytes) => {
    if (at + bytes > pool.length) {
      random(pool);
      at = 0;
    }
    at += bytes;
    return pool.toString('hex', at - bytes, at);
  };
}

interface SpanParts {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: string;
  readonly parentId: string | undefined;
  readonly how: SpanOptions;
  readonly clock: FineClock;
  readonly exporter?: SpanExporter;
}

class RecordedSpan implements Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceparent: string;
  readonly #name: string;
  readonly #parts: SpanParts;
  readonly #start: number;
  readonly #attributes: Record<string, SpanValue | undefined>;
  readonly #events: EndedSpan['events'][number][] = [];
  #error: string | undefined;
  #ended = false;

  constructor(name: string, parts: SpanParts) {
    this.#name = name;
    this.#parts = parts;
    this.traceId = parts.traceId;
    this.spanId = parts.spanId;
    this.traceparent = `00-${parts.traceId}-${parts.spanId}-${parts.flags}`;
    this.#attributes = { ...parts.how.attributes };
    this.#start = parts.clock();
  }

  set(name: string, value: SpanValue): void {
    if (name in this.#attributes || Object.keys(this.#attributes).length < mostFacts) this.#attributes[name] = value;
  }

  event(name: string, attributes: Readonly<Record<string, SpanValue>> = {}): void {
    if (this.#parts.exporter !== undefined && this.#events.length < mostFacts) this.#events.push({ name, time: this.#parts.clock(), attributes });
  }

  fail(type: string): void {
    this.#error = type;
    this.set('error.type', type);
  }

  facts(): Record<string, SpanValue> {
    const facts: Record<string, SpanValue> = { span_name: this.#name, span_id: this.spanId, trace_id: this.traceId };
    const { parentId, flags, how } = this.#parts;
    if (parentId !== undefined) facts['parent_id'] = parentId;
    if (parentId !== undefined && how.kind !== 'client') facts['trace_flags'] = flags;
    if (how.kind !== 'internal') facts['otel.kind'] = how.kind;
    // The real system's lines say every fact of a span as text.
    for (const [name, value] of Object.entries(this.#attributes)) if (value !== undefined) facts[name] = String(value);
    return facts;
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    const { exporter, traceId, spanId, parentId, how, flags, clock } = this.#parts;
    exporter?.export({
      name: this.#name,
      kind: how.kind,
      traceId,
      spanId,
      parentId,
      // What is called was called from elsewhere; what calls belongs to a span of this process.
      remoteParent: parentId !== undefined && how.kind !== 'client',
      flags: Number.parseInt(flags, 16),
      tracestate: how.tracestate,
      start: this.#start,
      end: clock(),
      attributes: this.#attributes,
      events: this.#events,
      error: this.#error,
    });
  }
}
