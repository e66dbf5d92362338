/** A `traceparent` taken apart. */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  /** Two hex digits; the lowest bit says that the trace is recorded. */
  readonly flags: string;
}

/** Version 00 of the header, or the first four fields of a later one; ids of zeros alone are invalid. */
const form = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Reads a `traceparent`; undefined for one that is malformed (W3C trace context, spec runtime-wire 11). */
export function readTraceparent(text: string): TraceParent | undefined {
  const [, version, traceId, spanId, flags, more] = form.exec(text) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined || (version === '00' && more !== undefined)) return undefined;
  return { traceId, spanId, flags };
}
