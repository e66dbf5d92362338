import { DynamoError } from '../error.ts';
import { decodeMsgpack, encodeMsgpack } from './msgpack.ts';

/** One message of the `session_affinity_events` topic: which instance a session is bound to (spec kv-router 11). */
export interface SessionEvent {
  readonly session: string;
  readonly instance: bigint;
  /** The instance's data-parallel rank; absent where the policy chooses none. */
  readonly rank?: number;
  /** Version of the binding. */
  readonly sequence: bigint;
  /** Instance id of the client that made the binding. */
  readonly writer: bigint;
}

/** Writes a message, members in the order of the real one. */
export const encodeSessionEvent = (event: SessionEvent): Uint8Array =>
  encodeMsgpack({
    session_id: event.session,
    worker_id: event.instance,
    dp_rank: event.rank ?? null,
    sequence: event.sequence,
    writer_id: event.writer,
  });

/**
 * Reads a message.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function decodeSessionEvent(payload: Uint8Array): SessionEvent {
  const value: unknown = decodeMsgpack(payload);
  const wire = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  const { session_id: session, dp_rank: rank } = wire;
  if (typeof session !== 'string') throw wrong('session_id', session);
  if (rank !== null && rank !== undefined && !(typeof rank === 'number' && Number.isInteger(rank) && rank >= 0)) throw wrong('dp_rank', rank);
  return {
    session,
    instance: u64(wire, 'worker_id'),
    ...(typeof rank === 'number' ? { rank } : {}),
    sequence: u64(wire, 'sequence'),
    writer: u64(wire, 'writer_id'),
  };
}

function u64(wire: Readonly<Record<string, unknown>>, name: string): bigint {
  const value = wire[name];
  if (typeof value === 'bigint' && value >= 0n) return value;
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return BigInt(value);
  throw wrong(name, value);
}

const wrong = (member: string, got: unknown): DynamoError =>
  new DynamoError('backend_protocol', `a session event is unreadable: ${member} is of type ${got === null ? 'null' : typeof got}`, {
    data: { member },
  });
