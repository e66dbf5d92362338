import { DynamoError } from '../error.ts';

/** Puts a number's digits into JSON as they stand. ES2025; the compiler's library does not list it yet. */
export const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (this: void, text: string) => unknown }).rawJSON;

/**
 * Writes JSON in which a bigint is a bare number; `undefined` is written as null.
 *
 * @throws DynamoError `invalid_argument` on a value that JSON has no form for, such as one that holds itself.
 */
export function encodeJsonText(value: unknown): string {
  try {
    return JSON.stringify(value, bare) ?? 'null';
  } catch (cause) {
    throw new DynamoError('invalid_argument', `value can't be written as JSON: ${(cause as Error).message}`, { cause });
  }
}

const bare = (_key: string, member: unknown): unknown => (typeof member === 'bigint' ? rawJson(String(member)) : member);

/** Writes JSON as UTF-8. */
export const encodeJson = (value: unknown): Uint8Array => Buffer.from(encodeJsonText(value));

/** A run of 16 digits is where a number may stop being exact. */
const longNumber = /\d{16}/;

/** Digits and sign of the longest 64-bit integer. Turning millions of digits into a bigint would hold up the process. */
const longestInteger = 20;

/**
 * Reads JSON without losing a digit of any 64-bit integer: those beyond 2^53 come back as bigint, larger ones as number.
 *
 * @throws DynamoError `backend_protocol` when the text is not JSON.
 */
export function decodeJson(input: Uint8Array | string): unknown {
  const text = typeof input === 'string' ? input : Buffer.from(input.buffer, input.byteOffset, input.byteLength).toString();
  try {
    return longNumber.test(text) ? JSON.parse(text, exact) : JSON.parse(text);
  } catch (cause) {
    throw new DynamoError('backend_protocol', `not JSON: ${(cause as Error).message}`, { cause });
  }
}

function exact(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value) || context?.source === undefined) return value;
  if (context.source.length > longestInteger || !/^-?\d+$/.test(context.source)) return value;
  const integer = BigInt(context.source);
  return integer < 1n << 64n && integer >= -(1n << 63n) ? integer : value;
}
