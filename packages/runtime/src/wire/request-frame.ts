import { DynamoError } from '../error.ts';

/** A request as it travels to a worker (spec runtime-wire 4). */
export interface RequestFrame {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A two-part message. */
  readonly payload: Uint8Array;
  /** How much of the payload is sent behind the frame, in bytes. */
  readonly followingBytes?: number;
}

/** Bytes of a frame that are neither path, headers nor payload. */
const fixedBytes = 8;

/** Writes a request frame. */
export function encodeRequestFrame(frame: RequestFrame, limit: number): Uint8Array {
  const path = Buffer.from(frame.path);
  const headers = Buffer.from(JSON.stringify(frame.headers));
  const payloadBytes = frame.payload.length + (frame.followingBytes ?? 0);
  const length = fixedBytes + path.length + headers.length + payloadBytes;
  for (const [name, part] of Object.entries({ path, headers })) {
    if (part.length > 0xffff) throw new DynamoError('invalid_argument', `request ${name} of ${part.length} bytes passes the limit of 65535`);
  }
  if (length > limit) {
    throw new DynamoError('payload_too_large', `request frame of ${length} bytes passes the limit of ${limit}`, { data: { length, limit } });
  }
  const bytes = Buffer.allocUnsafe(length - payloadBytes + frame.payload.length);
  let at = bytes.writeUInt16BE(path.length, 0);
  at += path.copy(bytes, at);
  at = bytes.writeUInt16BE(headers.length, at);
  at += headers.copy(bytes, at);
  at = bytes.writeUInt32BE(payloadBytes, at);
  bytes.set(frame.payload, at);
  return bytes;
}

/** A frame's parts as bytes, and where the next frame begins. */
export interface RequestSpan {
  readonly path: Buffer;
  readonly headers: Buffer;
  readonly payload: Buffer;
  readonly end: number;
}

/**
 * Finds the frame that begins at `start`, or undefined while it is incomplete.
 *
 * @throws DynamoError `payload_too_large` as soon as the lengths say that it will pass `limit` bytes.
 */
export function spanRequestFrame(bytes: Buffer, start: number, limit: number): RequestSpan | undefined {
  let at = start + 2;
  if (bytes.length < at) return undefined;
  const pathStart = at;
  at += bytes.readUInt16BE(start);
  if (bytes.length < at + 2) return undefined;
  const pathEnd = at;
  const headersStart = at + 2;
  at = headersStart + bytes.readUInt16BE(pathEnd);
  if (bytes.length < at + 4) return undefined;
  const headersEnd = at;
  const payloadStart = at + 4;
  const end = payloadStart + bytes.readUInt32BE(headersEnd);
  if (end - start > limit) {
    throw new DynamoError('payload_too_large', `request frame of ${end - start} bytes passes the limit of ${limit}`, {
      data: { length: end - start, limit },
    });
  }
  if (bytes.length < end) return undefined;
  return {
    path: bytes.subarray(pathStart, pathEnd),
    headers: bytes.subarray(headersStart, headersEnd),
    payload: bytes.subarray(payloadStart, end),
    end,
  };
}

/** How long the frame is that begins at `start`, or 0 while that can't be told. */
export function requestFrameBytes(bytes: Buffer, start: number): number {
  const headersAt = start + 2 + (bytes.length >= start + 2 ? bytes.readUInt16BE(start) : 0);
  if (bytes.length < headersAt + 2) return 0;
  const payloadAt = headersAt + 2 + bytes.readUInt16BE(headersAt);
  return bytes.length < payloadAt + 4 ? 0 : payloadAt + 4 + bytes.readUInt32BE(payloadAt) - start;
}

/** Writes an acknowledgement: empty text accepts, any other refuses. */
export function encodeAck(text: string): Uint8Array {
  const body = Buffer.from(text);
  const bytes = Buffer.allocUnsafe(4 + body.length);
  bytes.writeUInt32BE(body.length, 0);
  body.copy(bytes, 4);
  return bytes;
}
