import { DynamoError, type DynamoErrorCode, errorTable } from '../error.ts';

/** Text or numbers about an error that an end user may see; real peers can't read an item with any other (spec runtime-wire 9.1). */
export type PublicError =
  | { readonly type: 'message'; readonly message: string }
  | { readonly type: 'size_limit'; readonly limit: number; readonly actual: number }
  | { readonly type: 'context_length'; readonly limit: number; readonly actual: number }
  | { readonly type: 'rate_limit'; readonly limit: number; readonly remaining: number };

/** The error object of an error item (spec runtime-wire 9.1). */
export interface WireError {
  readonly error_type: string | { readonly Backend: string };
  readonly class: string;
  readonly reason: string;
  readonly message: string;
  readonly diagnostic: string;
  readonly public?: PublicError;
  readonly caused_by?: unknown;
}

/** The only variants that real peers can read inside `Backend`. */
const backendTypes = new Set([
  'Unknown',
  'InvalidArgument',
  'CannotConnect',
  'Disconnected',
  'ConnectionTimeout',
  'ResponseTimeout',
  'Cancelled',
  'EngineShutdown',
  'StreamIncomplete',
]);

/** Reasons that are not some row's own, by the code that stands for them. */
const otherReasons: Readonly<Record<string, { code: DynamoErrorCode; class: string; type: string }>> = {
  'request.invalid': { code: 'invalid_argument', class: 'InvalidRequest', type: 'InvalidArgument' },
  'runtime.internal': { code: 'unknown', class: 'Internal', type: 'Unknown' },
  'runtime.invalid_error': { code: 'unknown', class: 'Internal', type: 'Unknown' },
};

const codes = Object.keys(errorTable) as DynamoErrorCode[];

/** Longest chain of causes that is written or read; chains can be endless. */
const maxCauses = 8;

/**
 * Writes an error for the wire.
 *
 * Anything that is no `DynamoError` becomes a backend's `unknown` with the text `Name: message`. That holds for
 * `TypeError` and `RangeError` too: in Python they blame the caller's argument, here they are nearly always a bug of the
 * handler, and the caller must not be told that its request was wrong.
 */
export function encodeError(error: unknown, depth = 0): WireError {
  if (!DynamoError.is(error)) {
    const name = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    return encodeError(new DynamoError('unknown', name, { origin: 'backend' }), depth);
  }
  const row = errorTable[error.code];
  const backend = error.origin === 'backend' && row.backendReason !== undefined;
  const kept = error.data['reason'];
  const other = typeof kept === 'string' && otherReasons[kept]?.code === error.code ? kept : undefined;
  const shown = error.data['public'];
  return {
    error_type: other === undefined && (backend || onlyBackend(row.type)) ? { Backend: row.type } : row.type,
    class: row.class,
    reason: other ?? (backend ? row.backendReason : row.reason),
    message: error.message,
    diagnostic: error.message,
    ...(isPublic(shown) ? { public: shown } : {}),
    ...(DynamoError.is(error.cause) && depth < maxCauses ? { caused_by: encodeError(error.cause, depth + 1) } : {}),
  };
}

const onlyBackend = (type: string): boolean => type === 'EngineShutdown' || type === 'StreamIncomplete';

/**
 * Reads an error from the wire; any subset of members will do, and what can't be read is `unknown`.
 *
 * The pair of class and reason wins over the older `error_type` when it is one of the table's. The error's `data.remote`
 * is true: the other side told of it, in a stream that was open.
 */
export function decodeError(wire: unknown, depth = 0): DynamoError {
  const raw = typeof wire === 'object' && wire !== null ? (wire as Record<string, unknown>) : { message: wire };
  const message = String(raw['diagnostic'] ?? raw['message'] ?? 'error without a message');
  const { code, origin, reason } = byReason(raw) ?? byType(raw['error_type']);
  const data = { remote: true, ...(reason === undefined ? {} : { reason }), ...(isPublic(raw['public']) ? { public: raw['public'] } : {}) };
  const cause =
    raw['caused_by'] !== undefined && raw['caused_by'] !== null && depth < maxCauses ? decodeError(raw['caused_by'], depth + 1) : undefined;
  return new DynamoError(code, message, { origin, data, ...(cause === undefined ? {} : { cause }) });
}

interface Decoded {
  readonly code: DynamoErrorCode;
  readonly origin: 'local' | 'backend';
  readonly reason?: string;
}

function byReason(raw: Record<string, unknown>): Decoded | undefined {
  const { class: className, reason } = raw;
  if (typeof className !== 'string' || typeof reason !== 'string') return undefined;
  const backend = typeof raw['error_type'] === 'object' && raw['error_type'] !== null;
  for (const code of codes) {
    const row = errorTable[code];
    if (row.class !== className) continue;
    if (row.backendReason === reason && (backend || row.reason !== reason)) return { code, origin: 'backend' };
    if (row.reason === reason) return { code, origin: 'local' };
  }
  const other = Object.hasOwn(otherReasons, reason) ? otherReasons[reason] : undefined;
  if (other?.class === className) return { code: other.code, origin: 'local', reason };
  return { code: 'unknown', origin: 'local' };
}

function byType(type: unknown): Decoded {
  const backend = typeof type === 'object' && type !== null;
  const name = backend ? (type as Record<string, unknown>)['Backend'] : type;
  if (typeof name !== 'string' || (backend && !backendTypes.has(name))) return { code: 'unknown', origin: 'local' };
  if (!backend && onlyBackend(name)) return { code: 'unknown', origin: 'local' };
  const code = sharedTypes.get(name) ?? codes.find((candidate) => errorTable[candidate].type === name) ?? 'unknown';
  return { code, origin: backend ? 'backend' : 'local' };
}

/** What a type that several codes share means when it stands alone: the class that the table of spec 9.1 gives it. */
const sharedTypes: ReadonlyMap<string, DynamoErrorCode> = new Map([
  ['Unknown', 'unknown'],
  ['InvalidArgument', 'invalid_argument'],
  ['ResponseTimeout', 'response_timeout'],
  ['ResourceExhausted', 'resource_exhausted'],
]);

function isPublic(value: unknown): value is PublicError {
  if (typeof value !== 'object' || value === null) return false;
  const { type, message, limit, actual, remaining } = value as Record<string, unknown>;
  if (type === 'message') return typeof message === 'string';
  if (type === 'size_limit' || type === 'context_length') return isCount(limit) && isCount(actual);
  return type === 'rate_limit' && isCount(limit) && isCount(remaining);
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
