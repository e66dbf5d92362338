import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { u32, u64, wrong } from './kv-event.ts';
import { object } from './members.ts';

/** One message of the `session_affinity_events` topic: which worker a session is bound to (spec kv-router 11). */
export interface AffinityEvent {
  readonly sessionId: string;
  readonly workerId: bigint;
  /** Absent outside kv mode. */
  readonly dpRank?: number;
  /** Version of the binding. */
  readonly sequence: bigint;
  /** Instance id of the router that made the binding. */
  readonly writerId: bigint;
}

/** Writes an affinity message. */
export const encodeAffinityEvent = (event: AffinityEvent): Uint8Array =>
  encodeMsgpack({
    session_id: event.sessionId,
    worker_id: event.workerId,
    dp_rank: event.dpRank ?? null,
    sequence: event.sequence,
    writer_id: event.writerId,
  });

/**
 * Reads an affinity message.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function decodeAffinityEvent(payload: Uint8Array): AffinityEvent {
  const wire = object(decodeMsgpack(payload));
  const { session_id: sessionId, dp_rank: dpRank } = wire ?? {};
  if (typeof sessionId !== 'string') throw wrong('session_id', 'text', sessionId);
  return {
    sessionId,
    workerId: u64(wire?.['worker_id'], 'worker_id'),
    ...(dpRank === null || dpRank === undefined ? {} : { dpRank: u32(dpRank, 'dp_rank') }),
    sequence: u64(wire?.['sequence'], 'sequence'),
    writerId: u64(wire?.['writer_id'], 'writer_id'),
  };
}
