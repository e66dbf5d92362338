import { decodeJson } from '../wire/json.ts';
import { JsonFault } from '../wire/strict-json/position.ts';
import { JsonReader } from '../wire/strict-json/reader.ts';

/** Reads a body as JSON, or says what is wrong with it in the real system's words. */
export function readJson(body: Buffer): { readonly value: unknown } | { readonly fault: string } {
  const text = body.toString();
  const fault = faultIn(body, text);
  return fault === undefined ? { value: decodeJson(text) } : { fault };
}

function faultIn(body: Buffer, text: string): string | undefined {
  const garbled = text.indexOf('\uFFFD');
  if (garbled !== -1 && !Buffer.from(text).equals(body)) return `invalid unicode code point at line 1 column ${garbled + 2}`;
  const reader = new JsonReader(text);
  try {
    reader.value();
    reader.end();
    return undefined;
  } catch (error) {
    if (error instanceof JsonFault) return error.describe(text);
    throw error;
  }
}
