import { DynamoError } from '../error.ts';
import type { CodecName } from './codec.ts';
import { decodeJson } from './json.ts';

/** Where the worker calls home (spec runtime-wire 5). */
export interface CallHome {
  readonly address: string;
  readonly subject: string;
}

/** The header of a request's envelope. */
export interface ControlMessage {
  readonly id: string;
  readonly requestType: 'single_in' | 'many_in';
  readonly codec: CodecName;
  readonly metadata: Readonly<Record<string, string>>;
  /** Name of the response transport: `tcp_server` is the only one that we dial. */
  readonly transport: string;
  readonly response: CallHome;
  /** Where the worker fetches the items of a `many_in` request. */
  readonly input?: CallHome;
}

/** What a call-home connection is for (spec runtime-wire 7). */
export type StreamType = 'request' | 'response';

/** Writes the header of a request: with one item in, or with a stream of them when it says where they are fetched. */
export function encodeControl(message: {
  id: string;
  codec: CodecName;
  metadata?: Readonly<Record<string, string>>;
  response: CallHome;
  input?: CallHome;
}): Uint8Array {
  const { input } = message;
  const connection = (home: CallHome, type: StreamType): { transport: string; info: string } => ({
    transport: 'tcp_server',
    info: JSON.stringify({ ...home, context: message.id, stream_type: type }),
  });
  const metadata = message.metadata !== undefined && Object.keys(message.metadata).length > 0 ? { metadata: message.metadata } : {};
  return Buffer.from(
    JSON.stringify({
      id: message.id,
      request_type: input === undefined ? 'single_in' : 'many_in',
      response_type: 'many_out',
      payload_codec: message.codec,
      connection_info: connection(message.response, 'response'),
      ...(input === undefined ? {} : { request_stream_connection_info: connection(input, 'request') }),
      ...metadata,
    }),
  );
}

/**
 * Reads the header of a request.
 *
 * @throws DynamoError `backend_protocol` naming the member that is missing or of the wrong type.
 */
export function decodeControl(header: Uint8Array): ControlMessage {
  const raw = record(decodeJson(header), 'control message');
  const connection = record(raw['connection_info'], 'connection_info');
  const transport = text(connection, 'transport');
  const requestType = raw['request_type'] === 'many_in' ? 'many_in' : 'single_in';
  const metadata = raw['metadata'] === undefined || raw['metadata'] === null ? {} : record(raw['metadata'], 'metadata');
  return {
    id: text(raw, 'id'),
    requestType,
    codec: raw['payload_codec'] === 'msgpack' ? 'msgpack' : 'json',
    metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, String(value)])),
    transport,
    response: transport === 'tcp_server' ? readCallHome(connection, 'connection_info') : { address: '', subject: '' },
    ...(requestType === 'many_in' && transport === 'tcp_server'
      ? {
          input: readCallHome(record(raw['request_stream_connection_info'], 'request_stream_connection_info'), 'request_stream_connection_info'),
        }
      : {}),
  };
}

function readCallHome(connection: Record<string, unknown>, name: string): CallHome {
  const info = record(decodeJson(text(connection, 'info')), `${name}.info`);
  return { address: text(info, 'address'), subject: text(info, 'subject') };
}

/** The first frame of a call-home. */
export const encodeHandshake = (subject: string, type: StreamType = 'response'): Uint8Array =>
  Buffer.from(JSON.stringify({ subject, stream_type: type }));

/** Reads the subject from the first frame of a call-home. */
export const decodeHandshake = (header: Uint8Array): string => text(record(decodeJson(header), 'handshake'), 'subject');

/** The second frame: null when the handler has started, else why it did not. */
export const encodePrologue = (error: string | null): Uint8Array => Buffer.from(JSON.stringify({ error }));

/** Reads why a handler did not start; null when it did. */
export function decodePrologue(header: Uint8Array): string | null {
  const error = record(decodeJson(header), 'prologue')['error'];
  return error === undefined || error === null ? null : String(error);
}

/** The last frame of a worker's answer, and of a request's complete items: header-only, quotes included. */
export const sentinel: Uint8Array = Buffer.from('"sentinel"');

/** Header-only words by which a caller ends a request early (spec runtime-wire 6 and 7). */
export const words: Readonly<Record<'stop' | 'kill', Uint8Array>> = { stop: Buffer.from('"stop"'), kill: Buffer.from('"kill"') };

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new DynamoError('backend_protocol', `${what} is not an object`);
}

function text(from: Record<string, unknown>, name: string): string {
  const value = from[name];
  if (typeof value === 'string') return value;
  throw new DynamoError('backend_protocol', `${name} is ${value === undefined ? 'missing' : 'not text'}`);
}
