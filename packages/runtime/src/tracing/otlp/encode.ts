import type { EndedSpan, SpanValue } from '../tracer.ts';

/** Numbers of span kinds in OTLP. */
const kinds: Readonly<Record<EndedSpan['kind'], number>> = { internal: 1, server: 2, client: 3 };

/** Status code of a span that failed. */
const failed = 2;

/** Bits of a span's flags that say whether the span above it is remote: known, and so it is. */
const remoteKnown = 0x100;
const remote = 0x200;

/**
 * Writes spans as an `ExportTraceServiceRequest` of OTLP 1, in protobuf: field numbers are those of
 * `opentelemetry/proto/trace/v1/trace.proto`.
 */
export function encodeSpans(spans: readonly EndedSpan[], service: string): Uint8Array {
  const resource = nested(1, keyValue('service.name', service));
  const scope = text(1, service);
  return nested(
    1,
    Buffer.concat([nested(1, resource), nested(2, Buffer.concat([nested(1, scope), ...spans.map((span) => nested(2, encodeSpan(span)))]))]),
  );
}

function encodeSpan(span: EndedSpan): Buffer {
  const parts = [
    nested(1, Buffer.from(span.traceId, 'hex')),
    nested(2, Buffer.from(span.spanId, 'hex')),
    ...(span.tracestate === undefined ? [] : [text(3, span.tracestate)]),
    ...(span.parentId === undefined ? [] : [nested(4, Buffer.from(span.parentId, 'hex'))]),
    text(5, span.name),
    number(6, kinds[span.kind]),
    moment(7, span.start),
    moment(8, span.end),
    ...attributes(9, span.attributes),
    ...span.events.map((event) => nested(11, Buffer.concat([moment(1, event.time), text(2, event.name), ...attributes(3, event.attributes)]))),
    nested(15, span.error === undefined ? empty : Buffer.concat([text(2, span.error), number(3, failed)])),
    fixed32(16, span.flags | remoteKnown | (span.remoteParent ? remote : 0)),
  ];
  return Buffer.concat(parts);
}

function attributes(field: number, values: Readonly<Record<string, SpanValue | undefined>>): Buffer[] {
  return Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [nested(field, keyValue(name, value))]));
}

const keyValue = (name: string, value: SpanValue): Buffer => Buffer.concat([text(1, name), nested(2, anyValue(value))]);

function anyValue(value: SpanValue): Buffer {
  if (typeof value === 'string') return text(1, value);
  if (typeof value === 'boolean') return number(2, value ? 1 : 0);
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return double(4, value);
  const whole = BigInt(value);
  // Integers of OTLP are signed: an id above them is said as text.
  return whole >= -(2n ** 63n) && whole < 2n ** 63n ? Buffer.concat([tag(3, 0), varint(BigInt.asUintN(64, whole))]) : text(1, String(whole));
}

const empty = Buffer.alloc(0);

const tag = (field: number, type: number): Buffer => varint(BigInt(field * 8 + type));

const text = (field: number, value: string): Buffer => nested(field, Buffer.from(value));

const number = (field: number, value: number): Buffer => Buffer.concat([tag(field, 0), varint(BigInt(value))]);

const nested = (field: number, bytes: Buffer): Buffer => Buffer.concat([tag(field, 2), varint(BigInt(bytes.length)), bytes]);

function moment(field: number, ms: number): Buffer {
  const nanos = BigInt(Math.round(ms * 1_000)) * 1_000n;
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(nanos);
  return Buffer.concat([tag(field, 1), bytes]);
}

function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, 1), bytes]);
}

function fixed32(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return Buffer.concat([tag(field, 5), bytes]);
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  while (rest >= 128n) {
    bytes.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
