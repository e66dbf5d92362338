import { DynamoError } from '@dynamo/runtime';
import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { u32, u64, wrong } from './kv-event.ts';
import { object, type Wire } from './members.ts';

/** What a router tells the others of its requests (topic `active_sequences_events`, spec kv-router 16.2). */
export interface SequenceEvent {
  readonly requestId: string;
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Who tells it: a router, or for `prefillDone` also the worker itself. */
  readonly routerId: bigint;
  readonly loraName?: string;
  readonly change: SequenceChange;
}

/** What happened to the request. */
export type SequenceChange =
  | {
      readonly type: 'added';
      /** Sequence hashes of the complete blocks; absent where active blocks are not tracked. */
      readonly sequence?: readonly bigint[];
      readonly trackPrefill: boolean;
      readonly expectedOutputTokens?: number;
      readonly prefill?: { readonly tokens: number; readonly expectedMs?: number };
    }
  | { readonly type: 'prefillDone' }
  | { readonly type: 'freed' };

/** Writes one message: `events` in a wrapper, or with `bare` the one event alone, as it goes over NATS. */
export function encodeSequenceEvents(events: readonly SequenceEvent[], options: { bare?: boolean } = {}): Uint8Array {
  if (options.bare !== true) return encodeMsgpack({ events: events.map(toWire) });
  const [event] = events;
  if (event === undefined || events.length > 1) throw new DynamoError('invalid_argument', 'a bare message holds exactly one event');
  return encodeMsgpack(toWire(event));
}

const toWire = (event: SequenceEvent): Wire => ({
  request_id: event.requestId,
  worker: { worker_id: event.workerId, dp_rank: event.dpRank },
  data: changeToWire(event.change),
  router_id: event.routerId,
  lora_name: event.loraName ?? null,
});

function changeToWire(change: SequenceChange): unknown {
  if (change.type === 'prefillDone') return 'MarkPrefillCompleted';
  if (change.type === 'freed') return 'Free';
  const { sequence, trackPrefill, expectedOutputTokens, prefill } = change;
  return {
    AddRequest: {
      token_sequence: sequence ?? null,
      track_prefill_tokens: trackPrefill,
      expected_output_tokens: expectedOutputTokens ?? null,
      prefill_load_hint:
        prefill === undefined ? null : { initial_effective_prefill_tokens: prefill.tokens, expected_prefill_duration: duration(prefill.expectedMs) },
    },
  };
}

const duration = (ms: number | undefined): Wire | null =>
  ms === undefined ? null : { secs: Math.floor(ms / 1000), nanos: Math.round((ms % 1000) * 1e6) };

/**
 * Reads one message in either form.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function decodeSequenceEvents(payload: Uint8Array): SequenceEvent[] {
  const value = object(decodeMsgpack(payload));
  if (value === undefined) throw wrong('the message', 'a map', value);
  const events = value['events'];
  if (events === undefined) return [sequenceEventFromWire(value)];
  if (!Array.isArray(events)) throw wrong('events', 'an array', events);
  return events.map(sequenceEventFromWire);
}

/** Reads one event out of a message. @throws DynamoError `backend_protocol` naming the member that is wrong. */
export function sequenceEventFromWire(value: unknown): SequenceEvent {
  const wire = object(value);
  const worker = object(wire?.['worker']);
  const { request_id: requestId, lora_name: lora } = wire ?? {};
  if (typeof requestId !== 'string') throw wrong('request_id', 'text', requestId);
  return {
    requestId,
    workerId: u64(worker?.['worker_id'], 'worker_id'),
    dpRank: worker?.['dp_rank'] === undefined ? 0 : u32(worker['dp_rank'], 'dp_rank'),
    routerId: u64(wire?.['router_id'], 'router_id'),
    ...(typeof lora === 'string' ? { loraName: lora } : {}),
    change: changeFromWire(wire?.['data']),
  };
}

function changeFromWire(data: unknown): SequenceChange {
  if (data === 'MarkPrefillCompleted') return { type: 'prefillDone' };
  if (data === 'Free') return { type: 'freed' };
  const added = object(object(data)?.['AddRequest']);
  if (added === undefined) throw wrong('data', 'AddRequest, MarkPrefillCompleted or Free', data);
  const { token_sequence: sequence, track_prefill_tokens: track, expected_output_tokens: expected, prefill_load_hint: hint } = added;
  if (sequence !== null && sequence !== undefined && !Array.isArray(sequence)) throw wrong('token_sequence', 'an array', sequence);
  const load = object(hint);
  return {
    type: 'added',
    ...(Array.isArray(sequence) ? { sequence: sequence.map((hash) => u64(hash, 'token_sequence')) } : {}),
    trackPrefill: track !== false,
    ...(expected === null || expected === undefined ? {} : { expectedOutputTokens: u32(expected, 'expected_output_tokens') }),
    ...(load === undefined ? {} : { prefill: hintFromWire(load) }),
  };
}

function hintFromWire(load: Wire): { tokens: number; expectedMs?: number } {
  const tokens = Number(u64(load['initial_effective_prefill_tokens'], 'initial_effective_prefill_tokens'));
  const expected = object(load['expected_prefill_duration']);
  if (expected === undefined) return { tokens };
  return { tokens, expectedMs: Number(u64(expected['secs'], 'secs')) * 1000 + u32(expected['nanos'], 'nanos') / 1e6 };
}
