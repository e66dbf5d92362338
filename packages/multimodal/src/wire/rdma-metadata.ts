import { DynamoError } from '@dynamo/runtime';
import { decodeJson, encodeJsonText } from '@dynamo/runtime/internal';

/** Where one shared piece of memory lies (spec nixl-connect 2). */
export interface WireDescriptor {
  /** `cpu`, `cuda:0`, `xpu:1`. */
  readonly device: string;
  /** Address or region id; never 0. */
  readonly ptr: bigint;
  /** Bytes. */
  readonly size: number;
}

/** What one side of a transfer hands to the other by any channel (spec nixl-connect 2). */
export interface RdmaMetadata {
  readonly descriptors: readonly WireDescriptor[];
  /** Who holds the memory: an `AgentMetadata` as text. */
  readonly agent: string;
  /** What the active side sends back when it is done. */
  readonly notificationKey: string;
  /** Whether the holder lets its memory be read or written. */
  readonly kind: 'read' | 'write';
}

/** Numbers of `operation_kind`; 3 is accepted by the real reader and means nothing. */
const kinds = { read: 1, write: 2 } as const;

/** Writes metadata member for member as the real connector does. */
export function encodeRdmaMetadata(metadata: RdmaMetadata): string {
  return encodeJsonText({
    descriptors: metadata.descriptors.map(({ device, ptr, size }) => ({ device, ptr, size })),
    nixl_metadata: metadata.agent,
    notification_key: metadata.notificationKey,
    operation_kind: kinds[metadata.kind],
  });
}

/**
 * Reads metadata as strictly as the real connector: no unknown member, no null pointer, no negative size.
 *
 * @throws DynamoError `invalid_argument` naming the member.
 */
export function decodeRdmaMetadata(text: string): RdmaMetadata {
  const all = members(parse(text), 'metadata', ['descriptors', 'nixl_metadata', 'notification_key', 'operation_kind']);
  const { descriptors, nixl_metadata: agent, notification_key: notificationKey, operation_kind: kind } = all;
  if (!Array.isArray(descriptors) || descriptors.length === 0) {
    throw wrong('descriptors', 'Request descriptor must contain at least one serialized descriptor.');
  }
  if (typeof agent !== 'string' || agent === '') throw wrong('nixl_metadata', 'Argument `nixl_metadata` must be a non-empty string.');
  if (typeof notificationKey !== 'string' || notificationKey === '')
    throw wrong('notification_key', 'Argument `notification_key` must be a non-empty string.');
  if (kind !== kinds.read && kind !== kinds.write) throw wrong('operation_kind', 'Argument `operation_kind` must be 1 (READ) or 2 (WRITE).');
  return { descriptors: descriptors.map(decodeDescriptor), agent, notificationKey, kind: kind === kinds.read ? 'read' : 'write' };
}

/**
 * Reads one descriptor.
 *
 * @throws DynamoError `invalid_argument` naming the member.
 */
export function decodeDescriptor(value: unknown): WireDescriptor {
  const { device, ptr, size } = members(value, 'descriptor', ['device', 'ptr', 'size']);
  if (typeof device !== 'string' || !/^(?:cpu$|cuda|xpu)/i.test(device.trim())) {
    throw wrong('device', "Argument `device` must be one of 'cpu', 'cuda:<device_id>', or 'xpu:<device_id>'.");
  }
  if (ptr === 0) throw wrong('ptr', 'Argument `ptr` cannot be zero (aka `null` or `None`).');
  if (!isCount(ptr)) throw wrong('ptr', 'Argument `ptr` must be an integer from 1 to 18446744073709551615.');
  if (!isCount(size)) throw wrong('size', 'Argument `size` must be an integer greater than or equal to zero.');
  return { device: device.trim().toLowerCase(), ptr: BigInt(ptr), size: Number(size) };
}

const isCount = (value: unknown): value is number | bigint =>
  typeof value === 'bigint' ? value >= 0n : Number.isSafeInteger(value) && (value as number) >= 0;

function parse(text: string): unknown {
  try {
    return decodeJson(text);
  } catch (cause) {
    throw new DynamoError('invalid_argument', 'metadata of a transfer is not JSON', { cause });
  }
}

function members(value: unknown, what: string, known: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(what, `${what} must be a JSON object`);
  for (const name of Object.keys(value)) if (!known.includes(name)) throw wrong(name, `${name}: Extra inputs are not permitted`);
  return value as Record<string, unknown>;
}

const wrong = (field: string, message: string): DynamoError => new DynamoError('invalid_argument', message, { data: { field } });
