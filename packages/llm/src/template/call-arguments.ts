import { JsonFault, JsonReader } from '@dynamo/runtime/internal';
import { DynamoError } from '@dynamo/runtime';

const [quote, brace, bracket] = [0x22, 0x7b, 0x5b] as const;

/**
 * Reads the arguments of an earlier call for the template: floats stay `Float`, and the members keep their order even
 * where their names are digits, which a plain object would move to the front.
 *
 * @throws DynamoError `invalid_argument`, with a public message, on text that holds no JSON object (spec llm 4).
 */
export function readCallArguments(text: string, path: string): ReadonlyMap<string, unknown> {
  const reader = new JsonReader(text);
  let value: unknown;
  try {
    value = read(reader);
    reader.end();
  } catch (cause) {
    if (!(cause instanceof JsonFault)) throw cause;
    throw refusal(path, `: ${cause.describe(text)}`, cause);
  }
  if (!(value instanceof Map)) throw refusal(path, '');
  return value as ReadonlyMap<string, unknown>;
}

function refusal(path: string, why: string, cause?: unknown): DynamoError {
  const message = `Validation: \`${path}\` must be a valid JSON object string${why}`;
  return new DynamoError('invalid_argument', message, { cause, data: { public: { type: 'message', message } } });
}

function read(reader: JsonReader): unknown {
  const char = reader.peek();
  if (char === brace) return readMap(reader);
  if (char === bracket) return readList(reader);
  return char === quote ? reader.string() : reader.scalar();
}

function readMap(reader: JsonReader): Map<string, unknown> {
  const map = new Map<string, unknown>();
  reader.enter();
  for (let name = reader.nextName(true); name !== undefined; name = reader.nextName(false)) {
    reader.afterName();
    map.set(name, read(reader));
  }
  reader.leave();
  return map;
}

function readList(reader: JsonReader): unknown[] {
  const list: unknown[] = [];
  reader.enter();
  for (let more = reader.nextItem(true); more; more = reader.nextItem(false)) list.push(read(reader));
  reader.leave();
  return list;
}
