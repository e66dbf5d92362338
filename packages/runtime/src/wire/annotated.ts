import { DynamoError } from '../error.ts';
import { type CodecName, codecs } from './codec.ts';
import { decodeError, encodeError } from './error-envelope.ts';

/** What one body frame of a response says (spec runtime-wire 6). */
export type ResponseFrame =
  | { readonly kind: 'item'; readonly data: unknown }
  /** Something about the stream that is no item: a named event with comments. */
  | { readonly kind: 'event'; readonly event?: string; readonly comment?: readonly string[] }
  | { readonly kind: 'error'; readonly error: DynamoError }
  | { readonly kind: 'final' };

/** Reads one body frame. A frame of the wrong shape is an error frame, so that the good items before it are kept. */
export function decodeFrame(body: Uint8Array, codec: CodecName): ResponseFrame {
  try {
    return readFrame(codecs[codec].decode(body));
  } catch (cause) {
    return { kind: 'error', error: DynamoError.from(cause) };
  }
}

function readFrame(frame: unknown): ResponseFrame {
  const { data: item, complete_final: final } = record(frame, 'response frame');
  if (final === true) return { kind: 'final' };
  const annotated = record(item, 'response item');
  const { event, comment, error } = annotated;
  const comments = Array.isArray(comment) ? comment.map(String) : undefined;
  if (event === 'error' || (error !== undefined && error !== null)) {
    return { kind: 'error', error: decodeError(error ?? { message: comments?.join(', ') ?? 'error without a message' }) };
  }
  if ('data' in annotated && (event === undefined || event === null)) return { kind: 'item', data: annotated['data'] };
  if (annotated['data'] !== undefined && annotated['data'] !== null) return { kind: 'item', data: annotated['data'] };
  return { kind: 'event', ...(typeof event === 'string' ? { event } : {}), ...(comments === undefined ? {} : { comment: comments }) };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new DynamoError('backend_protocol', `${what} is not an object`);
}

/** An item that is sent as it stands, without the annotated envelope: some internal endpoints answer so (spec kv-router 17.2). */
export class Bare {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

/** Marks an item as one that is sent without the annotated envelope. */
export const bare = (value: unknown): Bare => new Bare(value);

/** Writes one item: `{ data: { data: value }, complete_final: false }`. */
export function encodeItem(value: unknown, codec: CodecName): Uint8Array {
  const data = value instanceof Bare ? value.value : { data: value === undefined ? null : value };
  return codecs[codec].encode({ data, complete_final: false });
}

/** Reads the item of a frame without the annotated envelope; undefined for the final frame. */
export function decodeBareItem(frame: Uint8Array): unknown {
  const value = codecs.msgpack.decode(frame);
  return typeof value === 'object' && value !== null && 'data' in value ? value.data : undefined;
}

/** Writes the item that tells of a handler's failure; the final frame still follows it. */
export const encodeErrorItem = (error: unknown, codec: CodecName): Uint8Array =>
  codecs[codec].encode({ data: { event: 'error', error: encodeError(error) }, complete_final: false });

const finals: Readonly<Record<CodecName, Uint8Array>> = {
  json: codecs.json.encode({ complete_final: true }),
  msgpack: codecs.msgpack.encode({ complete_final: true }),
};

/** The frame after the last item: without it the caller reports a broken stream. */
export const finalFrame = (codec: CodecName): Uint8Array => finals[codec];
