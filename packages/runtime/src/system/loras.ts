import { encodeJsonText } from '../wire/json.ts';
import type { Float } from '../wire/msgpack.ts';
import { chars } from '../wire/strict-json/chars.ts';
import { JsonFault } from '../wire/strict-json/position.ts';
import { JsonReader } from '../wire/strict-json/reader.ts';
import { type Asked, type Reply, text } from './http.ts';
import type { StatusBoard } from './status-board.ts';

/** Endpoints that manage a worker's LoRA adapters; who serves one of them answers its route. */
type LoraEndpoint = 'list_loras' | 'load_lora' | 'unload_lora';

/** GET /v1/loras. */
export const listLoras = async (board: StatusBoard): Promise<Reply> => {
  const answer = await call(board, 'list_loras', {});
  return 'failed' in answer ? json(500, failure(answer.failed)) : json(200, answer.members);
};

/** POST /v1/loras. */
export async function loadLora(board: StatusBoard, asked: Asked): Promise<Reply> {
  if (!/^application\/([^;]+\+)?json\s*(;|$)/i.test(asked.contentType)) return text(415, 'Expected request with `Content-Type: application/json`');
  const body = await asked.body();
  if (!Buffer.isBuffer(body)) return body;
  const read = readLoad(body.toString());
  if ('status' in read) return read;
  return change(board, 'load_lora', { lora_name: read.name, source: { uri: read.uri } });
}

/** DELETE /v1/loras/{name}. */
export const unloadLora = (board: StatusBoard, name: string): Promise<Reply> => change(board, 'unload_lora', { lora_name: name });

async function change(board: StatusBoard, endpoint: LoraEndpoint, request: { lora_name: string; source?: { uri: string } }): Promise<Reply> {
  const answer = await call(board, endpoint, request);
  if ('failed' in answer) return json(500, failure(answer.failed, request.lora_name));
  return json(answer.members['status'] === 'error' ? 500 : 200, answer.members);
}

/** Asks the handler in process. What it answers is cut down to the members that the real system passes on. */
async function call(
  board: StatusBoard,
  endpoint: LoraEndpoint,
  request: unknown,
): Promise<{ readonly members: Record<string, unknown> } | { readonly failed: string }> {
  const handler = board.local(endpoint);
  if (handler === undefined) {
    return {
      failed: `LoRA management not available: no '${endpoint}' handler is registered (neither a local LoRA endpoint nor an engine update). This worker either has LoRA disabled or its backend does not support LoRA management.`,
    };
  }
  try {
    const first = await handler(request);
    return first === undefined ? { failed: `No response received from endpoint '${endpoint}'` } : { members: membersOf(first.item) };
  } catch (error) {
    return { failed: String(error) };
  }
}

const isText = (value: unknown): boolean => typeof value === 'string';
const isCount = (value: unknown): boolean => (typeof value === 'bigint' || Number.isSafeInteger(value)) && (value as number | bigint) >= 0;

/** What an answer may have, in the order in which it is written. */
const members: readonly (readonly [string, (value: unknown) => boolean])[] = [
  ['message', isText],
  ['lora_name', isText],
  ['lora_id', isCount],
  ['loras', (value) => value !== undefined && value !== null],
  ['count', isCount],
];

function membersOf(item: unknown): Record<string, unknown> {
  const answer = typeof item === 'object' && item !== null ? (item as Record<string, unknown>) : {};
  const status = isText(answer['status']) ? answer['status'] : 'success';
  return { status, ...Object.fromEntries(members.flatMap(([name, fits]) => (fits(answer[name]) ? [[name, answer[name]]] : []))) };
}

const failure = (message: string, name?: string): Record<string, unknown> => ({
  status: 'error',
  message,
  ...(name === undefined ? {} : { lora_name: name }),
});

const json = (status: number, value: Record<string, unknown>): Reply => ({ status, type: 'application/json', body: encodeJsonText(value) });

/** Reads `{ lora_name, source: { uri } }`, or refuses it with the real system's words, line and column. */
function readLoad(source: string): { name: string; uri: string } | Reply {
  const reader = new JsonReader(source);
  try {
    const body = readMembers(reader, 'LoadLoraRequest', {
      lora_name: () => readText(reader, 'lora_name'),
      source: () => readMembers(reader, 'LoraSource', { uri: () => readText(reader, 'source.uri') }, 'source'),
    });
    // What follows the value is nobody's business here, as in the real system.
    return { name: body.lora_name, uri: body.source.uri };
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    const why = error.describe(source);
    return error instanceof TypeFault
      ? text(422, `Failed to deserialize the JSON body into the target type: ${error.place === '' ? '' : `${error.place}: `}${why}`)
      : text(400, `Failed to parse the request body as JSON: ${why}`);
  }
}

/** A body that is JSON and not what the route takes. */
class TypeFault extends JsonFault {
  readonly place: string;
  constructor(message: string, reader: JsonReader, place: string) {
    super(message, reader.index);
    this.place = place;
  }
}

function readMembers<T extends Record<string, () => unknown>>(
  reader: JsonReader,
  name: string,
  fields: T,
  place = '',
): { [K in keyof T]: ReturnType<T[K]> } {
  if (reader.peek() === chars.bracket) return readInOrder(reader, name, fields, place);
  if (reader.peek() !== chars.brace) throw mismatch(reader, `struct ${name}`, place);
  const read: Record<string, unknown> = {};
  reader.enter();
  for (let member = reader.nextName(true); member !== undefined; member = reader.nextName(false)) {
    if (Object.hasOwn(read, member)) throw new TypeFault(`duplicate field \`${member}\``, reader, place);
    reader.afterName();
    const field = Object.hasOwn(fields, member) ? fields[member] : undefined;
    if (field === undefined) reader.value();
    else read[member] = field();
  }
  reader.leave();
  const missing = Object.keys(fields).find((field) => !Object.hasOwn(read, field));
  if (missing !== undefined) throw new TypeFault(`missing field \`${missing}\``, reader, place);
  return read as { [K in keyof T]: ReturnType<T[K]> };
}

/** A list stands for an object whose members come in their order. */
function readInOrder<T extends Record<string, () => unknown>>(
  reader: JsonReader,
  name: string,
  fields: T,
  place: string,
): { [K in keyof T]: ReturnType<T[K]> } {
  const entries = Object.entries(fields);
  const read: [string, unknown][] = [];
  reader.enter();
  for (const [member, field] of entries) {
    if (!reader.nextItem(read.length === 0)) {
      reader.leave();
      const wanted = `struct ${name} with ${entries.length} element${entries.length === 1 ? '' : 's'}`;
      throw new TypeFault(`invalid length ${read.length}, expected ${wanted}`, reader, place);
    }
    read.push([member, field()]);
  }
  reader.leave();
  return Object.fromEntries(read) as { [K in keyof T]: ReturnType<T[K]> };
}

function readText(reader: JsonReader, place: string): string {
  if (reader.peek() === chars.quote) return reader.string();
  throw mismatch(reader, 'a string', place);
}

function mismatch(reader: JsonReader, expected: string, place: string): TypeFault {
  const char = reader.peek();
  // Where an object or a list begins is where it is wrong; what else there is has been read by then.
  const opens = char === chars.brace || char === chars.bracket;
  const found = opens ? (char === chars.brace ? 'map' : 'sequence') : describe(reader.scalar());
  return new TypeFault(`invalid type: ${found}, expected ${expected}`, reader, place);
}

function describe(value: unknown): string {
  if (value === null) return 'null';
  if (typeof value === 'string') return `string ${JSON.stringify(value)}`;
  if (typeof value === 'boolean') return `boolean \`${value}\``;
  if (typeof value === 'number' || typeof value === 'bigint') return `integer \`${value}\``;
  const { value: float } = value as Float;
  return `floating point \`${Number.isInteger(float) ? `${float}.0` : float}\``;
}
