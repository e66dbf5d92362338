import { DynamoError } from '../error.ts';

/** Bytes before the two parts: header length, body length and checksum, eight each (spec runtime-wire 5). */
const prefixBytes = 24;

/** A message of two parts, either of which may be empty. */
export interface TwoPart {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
}

const nothing = new Uint8Array(0);

/** Writes a message; the checksum is 0, which every release build accepts unread. */
export function encodeTwoPart(message: { header?: Uint8Array; body?: Uint8Array }): Uint8Array {
  const header = message.header ?? nothing;
  const body = message.body ?? nothing;
  const bytes = Buffer.allocUnsafe(prefixBytes + header.length + body.length).fill(0, 0, prefixBytes);
  bytes.writeUInt32BE(header.length, 4);
  bytes.writeUInt32BE(body.length, 12);
  bytes.set(header, prefixBytes);
  bytes.set(body, prefixBytes + header.length);
  return bytes;
}

/** A body of this size or more is not copied behind its head: the two are sent one after the other. In bytes. */
export const apartBytes: number = 16 * 1024;

/** Writes a message without its body, which whoever sends it has to send next. */
export function encodeTwoPartHead(message: { header?: Uint8Array; bodyBytes: number }): Uint8Array {
  const header = message.header ?? nothing;
  const bytes = Buffer.allocUnsafe(prefixBytes + header.length).fill(0, 0, prefixBytes);
  bytes.writeUInt32BE(header.length, 4);
  bytes.writeUInt32BE(message.bodyBytes, 12);
  bytes.set(header, prefixBytes);
  return bytes;
}

/** Where one message lies in a buffer. */
export interface TwoPartSpan {
  headerStart: number;
  bodyStart: number;
  end: number;
}

/**
 * Finds the message that begins at `start`, or undefined while it is incomplete. Copies nothing, makes no BigInt.
 *
 * @throws DynamoError `backend_protocol` when a length passes `limit` bytes.
 */
export function spanTwoPart(bytes: Buffer, start: number, limit: number): TwoPartSpan | undefined {
  if (bytes.length - start < prefixBytes) return undefined;
  const headerLength = bytes.readUInt32BE(start) * 0x1_0000_0000 + bytes.readUInt32BE(start + 4);
  const bodyLength = bytes.readUInt32BE(start + 8) * 0x1_0000_0000 + bytes.readUInt32BE(start + 12);
  if (headerLength + bodyLength > limit) {
    throw new DynamoError('backend_protocol', `message of ${headerLength + bodyLength} bytes passes the limit of ${limit}`, {
      data: { length: headerLength + bodyLength, limit },
    });
  }
  const headerStart = start + prefixBytes;
  const end = headerStart + headerLength + bodyLength;
  return end > bytes.length ? undefined : { headerStart, bodyStart: headerStart + headerLength, end };
}

/** How long the message is that begins at `start`, or 0 while that can't be told. */
export function twoPartBytes(bytes: Buffer, start: number): number {
  return bytes.length - start < prefixBytes ? 0 : prefixBytes + bytes.readUInt32BE(start + 4) + bytes.readUInt32BE(start + 12);
}

/** Reads one message that fills the bytes exactly. */
export function decodeTwoPart(bytes: Uint8Array): TwoPart {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const span = spanTwoPart(buffer, 0, buffer.length);
  if (span === undefined || span.end !== buffer.length)
    throw new DynamoError('backend_protocol', `${bytes.length} bytes are not one two-part message`);
  return { header: buffer.subarray(span.headerStart, span.bodyStart), body: buffer.subarray(span.bodyStart, span.end) };
}
