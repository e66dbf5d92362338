import { DynamoError } from '../error.ts';

/** Puts a number's digits into JSON as they stand. ES2025; the compiler's library does not list it yet. */
export const rawJson: (text: string) => unknown = (JSON as unknown as { rawJSON: (this: void, text: string) => unknown }).rawJSON;

/** Writes JSON in which a bigint is a bare number. */
export const encodeJsonText = (value: unknown): string =>
  JSON.stringify(value, (_key, member: unknown) => (typeof member === 'bigint' ? rawJson(String(member)) : member));

/** Writes JSON as UTF-8. */
export const encodeJson = (value: unknown): Uint8Array => Buffer.from(encodeJsonText(value) ?? 'null');

/** A run of 16 digits is where a number may stop being exact. */
const longNumber = /\d{16}/;

/**
 * Reads JSON without losing a digit: integers beyond 2^53 come back as bigint.
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
  return /^-?\d+$/.test(context.source) ? BigInt(context.source) : value;
}
