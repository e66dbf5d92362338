import type { ForwardPass } from '@dynamo/internal';
import { encodeMsgpack } from '@dynamo/runtime/internal';

/** What one message on a pass is about. */
export interface PassFacts {
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Passes and heartbeats so far. */
  readonly counter: number;
  /** Length of the pass in seconds; 0 for a heartbeat. */
  readonly seconds: number;
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
