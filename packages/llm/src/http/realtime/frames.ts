import { randomUUID } from 'node:crypto';

type Members = Readonly<Record<string, unknown>>;

/** Every event that a client may send, with the optional members that its worker is told of as null (spec llm 3.5). */
const clientEvents: Readonly<Record<string, { readonly required?: readonly string[]; readonly optional?: readonly string[] }>> = {
  'session.update': { required: ['session'] },
  'input_audio_buffer.append': { required: ['audio'] },
  'input_audio_buffer.commit': {},
  'input_audio_buffer.clear': {},
  'output_audio_buffer.clear': {},
  'conversation.item.create': { required: ['item'] },
  'conversation.item.retrieve': { required: ['item_id'] },
  'conversation.item.truncate': { required: ['item_id', 'content_index', 'audio_end_ms'] },
  'conversation.item.delete': { required: ['item_id'] },
  'response.create': { optional: ['response'] },
  'response.cancel': {},
};

/** The families of events that a worker may send; each has the endings behind it. */
const serverEvents: ReadonlySet<string> = new Set(
  Object.entries({
    '': ['error'],
    'session.': ['created', 'updated'],
    'conversation.': ['created'],
    'conversation.item.': ['created', 'added', 'done', 'retrieved', 'truncated', 'deleted'],
    'conversation.item.input_audio_transcription.': ['completed', 'delta', 'segment', 'failed'],
    'input_audio_buffer.': ['committed', 'cleared', 'speech_started', 'speech_stopped', 'timeout_triggered'],
    'output_audio_buffer.': ['started', 'stopped', 'cleared'],
    'response.': ['created', 'done'],
    'response.output_item.': ['added', 'done'],
    'response.content_part.': ['added', 'done'],
    'response.output_text.': ['delta', 'done'],
    'response.output_audio.': ['delta', 'done'],
    'response.output_audio_transcript.': ['delta', 'done'],
    'response.function_call_arguments.': ['delta', 'done'],
    'response.mcp_call_arguments.': ['delta', 'done'],
    'response.mcp_call.': ['in_progress', 'completed', 'failed'],
    'mcp_list_tools.': ['in_progress', 'completed', 'failed'],
    'rate_limits.': ['updated'],
  }).flatMap(([family, endings]) => endings.map((ending) => family + ending)),
);

/** A frame of a client's. */
export interface ClientEvent extends Members {
  readonly type: string;
}

const isObject = (value: unknown): value is Members => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Reads a client's text frame; undefined where it is none of the events that a session knows. */
export function readClientEvent(text: string): ClientEvent | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || typeof value['type'] !== 'string' || !Object.hasOwn(clientEvents, value['type'])) return undefined;
  const { required = [], optional = [] } = clientEvents[value['type']] ?? {};
  if (required.some((name) => value[name] === undefined)) return undefined;
  if (value['type'] === 'session.update' && (!isObject(value['session']) || value['session']['type'] !== 'realtime')) return undefined;
  const missing = optional.filter((name) => value[name] === undefined).map((name) => [name, null] as const);
  return { ...value, ...Object.fromEntries(missing) } as ClientEvent;
}

/** Whether a worker's item is an event that a client may get. */
export const isServerEvent = (item: unknown): boolean =>
  isObject(item) && typeof item['type'] === 'string' && serverEvents.has(item['type']) && typeof item['event_id'] === 'string';

const eventId = (): string => `event_${randomUUID()}`;

/** The first frame of every socket. */
export const sessionCreated = (): string => JSON.stringify({ type: 'session.created', event_id: eventId(), session: { type: 'realtime' } });

/** What went wrong, as a frame; the socket stays open. */
export function errorFrame(error: { type: 'invalid_request_error' | 'server_error'; code?: string; message: string; param?: string }): string {
  const { type, code = null, message, param = null } = error;
  return JSON.stringify({ type: 'error', event_id: eventId(), error: { type, code, message, param, event_id: null } });
}
