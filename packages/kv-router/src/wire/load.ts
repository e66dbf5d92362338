import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import { u32, u64, wrong } from './kv-event.ts';
import { object } from './members.ts';

/** One message of the `kv_metrics` topic (spec kv-router 16.3); what is absent was not reported. */
export interface ActiveLoad {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly activeDecodeBlocks?: number;
  readonly activePrefillTokens?: number;
  readonly kvUsedBlocks?: number;
}

/** Writes a load message. */
export const encodeActiveLoad = (load: ActiveLoad): Uint8Array =>
  encodeMsgpack({
    worker_id: load.workerId,
    dp_rank: load.dpRank,
    active_decode_blocks: load.activeDecodeBlocks ?? null,
    active_prefill_tokens: load.activePrefillTokens ?? null,
    kv_used_blocks: load.kvUsedBlocks ?? null,
  });

/**
 * Reads a load message.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function decodeActiveLoad(payload: Uint8Array): ActiveLoad {
  const wire = object(decodeMsgpack(payload));
  if (wire === undefined) throw wrong('the message', 'a map', wire);
  return {
    workerId: u64(wire['worker_id'], 'worker_id'),
    dpRank: wire['dp_rank'] === undefined ? 0 : u32(wire['dp_rank'], 'dp_rank'),
    ...member('activeDecodeBlocks', wire['active_decode_blocks']),
    ...member('activePrefillTokens', wire['active_prefill_tokens']),
    ...member('kvUsedBlocks', wire['kv_used_blocks']),
  };
}

const member = <K extends string>(name: K, value: unknown): { [P in K]?: number } =>
  value === null || value === undefined ? {} : ({ [name]: Number(u64(value, name)) } as { [P in K]?: number });
