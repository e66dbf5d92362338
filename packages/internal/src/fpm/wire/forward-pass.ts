import { DynamoError } from '@dynamo/runtime';
import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import type { ForwardPass } from '../../mock/pass.ts';

/** What one message on a pass is about. */
export interface PassFacts {
  /** An instance's id; engines that stand for themselves may have any name. */
  readonly workerId: bigint | string;
  readonly dpRank: number;
  /** Passes and heartbeats so far. */
  readonly counter: number;
  /** Length of the pass in seconds; 0 for a heartbeat. */
  readonly seconds: number;
}

/** One message of the topic `forward-pass-metrics`, read. */
export interface ForwardPassMetrics extends PassFacts {
  /** In decimals where it is an instance's id. */
  readonly workerId: string;
  readonly pass: ForwardPass;
}

/** Writes one message of the topic `forward-pass-metrics` (spec kv-router 16.4); without a pass it is the heartbeat of an idle worker. */
export const encodeForwardPass = ({ workerId, dpRank, counter, seconds }: PassFacts, pass: ForwardPass | undefined): Uint8Array =>
  encodeMsgpack({
    version: 1,
    worker_id: String(workerId),
    dp_rank: dpRank,
    counter_id: counter,
    wall_time: seconds,
    scheduled_requests: {
      num_prefill_requests: pass?.scheduledPrefills ?? 0,
      sum_prefill_tokens: pass?.scheduledPrefillTokens ?? 0,
      var_prefill_length: pass?.scheduledPrefillVariance ?? 0,
      sum_prefill_kv_tokens: pass?.scheduledPrefillKvTokens ?? 0,
      num_decode_requests: pass?.scheduledDecodes ?? 0,
      sum_decode_kv_tokens: pass?.scheduledDecodeKvTokens ?? 0,
      var_decode_kv_tokens: pass?.scheduledDecodeVariance ?? 0,
    },
    queued_requests: {
      num_prefill_requests: pass?.queuedPrefills ?? 0,
      sum_prefill_tokens: pass?.queuedPrefillTokens ?? 0,
      var_prefill_length: pass?.queuedPrefillVariance ?? 0,
      num_decode_requests: pass?.queuedDecodes ?? 0,
      sum_decode_kv_tokens: pass?.queuedDecodeKvTokens ?? 0,
      var_decode_kv_tokens: pass?.queuedDecodeVariance ?? 0,
    },
  });

/**
 * Reads one message of the topic `forward-pass-metrics`. Members that a publisher leaves out are 0.
 *
 * @throws DynamoError `backend_protocol` for what is no such message, or one of another version.
 */
export function decodeForwardPass(payload: Uint8Array): ForwardPassMetrics {
  const message = objectOf(readMap(payload));
  if (message['version'] !== 1) throw wrong(`version ${String(message['version'])}`);
  const { worker_id: workerId } = message;
  if (typeof workerId !== 'string') throw wrong('a worker_id that is no text');
  const scheduled = objectOf(message['scheduled_requests'] ?? {});
  const queued = objectOf(message['queued_requests'] ?? {});
  return {
    workerId,
    dpRank: numberIn(message, 'dp_rank'),
    counter: numberIn(message, 'counter_id'),
    seconds: numberIn(message, 'wall_time'),
    pass: {
      scheduledPrefills: numberIn(scheduled, 'num_prefill_requests'),
      scheduledPrefillTokens: numberIn(scheduled, 'sum_prefill_tokens'),
      scheduledPrefillVariance: numberIn(scheduled, 'var_prefill_length'),
      scheduledPrefillKvTokens: numberIn(scheduled, 'sum_prefill_kv_tokens'),
      scheduledDecodes: numberIn(scheduled, 'num_decode_requests'),
      scheduledDecodeKvTokens: numberIn(scheduled, 'sum_decode_kv_tokens'),
      scheduledDecodeVariance: numberIn(scheduled, 'var_decode_kv_tokens'),
      queuedPrefills: numberIn(queued, 'num_prefill_requests'),
      queuedPrefillTokens: numberIn(queued, 'sum_prefill_tokens'),
      queuedPrefillVariance: numberIn(queued, 'var_prefill_length'),
      queuedDecodes: numberIn(queued, 'num_decode_requests'),
      queuedDecodeKvTokens: numberIn(queued, 'sum_decode_kv_tokens'),
      queuedDecodeVariance: numberIn(queued, 'var_decode_kv_tokens'),
    },
  };
}

type WireMap = Readonly<Record<string, unknown>>;

function readMap(payload: Uint8Array): unknown {
  try {
    return decodeMsgpack(payload);
  } catch (cause) {
    throw wrong('no msgpack', cause);
  }
}

function objectOf(value: unknown): WireMap {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('no map');
  return value as WireMap;
}

function numberIn(map: WireMap, key: string): number {
  const value = map[key] ?? 0;
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number) || number < 0) throw wrong(`${key} is no number from 0 on`);
  return number;
}

const wrong = (what: string, cause?: unknown): DynamoError => new DynamoError('backend_protocol', `no forward-pass metrics: ${what}`, { cause });
