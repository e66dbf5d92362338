import { DynamoError, type DynamoErrorCode } from '@dynamo/runtime';
import { errorTable } from '@dynamo/runtime/internal';
import type { RemoteRegion } from '../transfer.ts';

/**
 * What stands before the bytes of a frame (spec nixl-connect 5).
 *
 * A read goes `read` → `data` and bytes → `done`; a write goes `write` → `go` → `data` and bytes → `done`. The last `done` of a
 * read tells the holder that the bytes have arrived, which a flushed socket does not.
 */
export type FrameHeader =
  | { readonly op: 'read' | 'write'; readonly token: string; readonly notif: string; readonly regions: readonly RemoteRegion[] }
  | { readonly op: 'go' | 'data' | 'done' }
  | { readonly op: 'err'; readonly code: DynamoErrorCode; readonly message: string };

/** A header names regions, never bytes; a megabyte names tens of thousands. */
export const maxHeader = 1_048_576;

/** Most regions of one movement. */
const maxRegions = 4096;

/** Length, little-endian, and JSON. Pointers are digits in a string, since JSON numbers end at 2^53. */
export function encodeFrame(header: FrameHeader): Buffer {
  const text = JSON.stringify(header, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
  const length = Buffer.byteLength(text);
  const frame = Buffer.allocUnsafe(4 + length);
  frame.writeUInt32LE(length, 0);
  frame.write(text, 4);
  return frame;
}

/** @throws DynamoError `backend_protocol` for anything but a header of ours. */
export function decodeHeader(bytes: Uint8Array): FrameHeader {
  const header = parse(bytes);
  switch (header['op']) {
    case 'go':
    case 'data':
    case 'done':
      return { op: header['op'] };
    case 'err':
      return { op: 'err', code: knownCode(header['code']), message: String(header['message']) };
    case 'read':
    case 'write': {
      const { op, token, notif, regions } = header;
      if (typeof token !== 'string' || typeof notif !== 'string' || !Array.isArray(regions)) throw strange(`${op} without token, notif or regions`);
      if (regions.length > maxRegions) throw strange(`${regions.length} regions, the limit is ${maxRegions}`);
      return { op, token, notif, regions: regions.map(decodeRegion) };
    }
    default:
      throw strange('unknown op');
  }
}

function decodeRegion(value: unknown): RemoteRegion {
  const { ptr, size } = (value ?? {}) as Record<string, unknown>;
  if (typeof ptr !== 'string' || !/^\d{1,20}$/.test(ptr) || !Number.isSafeInteger(size) || (size as number) < 0)
    throw strange('a region without ptr and size');
  return { ptr: BigInt(ptr), size: size as number };
}

function parse(bytes: Uint8Array): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString());
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw new DynamoError('backend_protocol', 'the peer of a transfer sent a header that is not JSON', { cause });
  }
  throw strange('a header that is no object');
}

const knownCode = (code: unknown): DynamoErrorCode =>
  typeof code === 'string' && Object.hasOwn(errorTable, code) ? (code as DynamoErrorCode) : 'unknown';

const strange = (what: string): DynamoError => new DynamoError('backend_protocol', `the peer of a transfer sent ${what}`);
