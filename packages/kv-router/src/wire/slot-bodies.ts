import { decodeMsgpack, encodeMsgpack } from '@dynamo/runtime/internal';
import type { RankLoad } from '../load/active-sequences.ts';
import { list, type Member, otherwise, type Shape, signedHash, struct, text, u32, u64, usize } from './body-shape.ts';
import { u32 as u32From, wrong } from './kv-event.ts';
import { object } from './members.ts';
import { encodeSequenceEvents, type SequenceEvent, sequenceEventFromWire } from './sequence-event.ts';

/** Routing groups keep the workers of one model apart; who names none is in this one (spec kv-router 20). */
export const defaultGroup = 'default';

/** The member that names a routing group. */
export const routingGroup: Member<string> = otherwise(text, () => defaultGroup);

/** A worker and the ranks that it has. */
export interface RegisterSlots extends SlotWorker {
  readonly blockSize: number;
  readonly dpStart: number;
  readonly dpSize: number;
}

/** A worker of a group. */
export interface SlotWorker {
  readonly workerId: bigint;
  readonly modelName: string;
  readonly routingGroup: string;
}

/** A prompt within a group. */
export interface SlotPrompt {
  readonly modelName: string;
  readonly routingGroup: string;
  readonly sequenceHashes: readonly bigint[];
  readonly newIslTokens: number;
}

/** A request that was placed on a rank. */
export interface AddSlot extends SlotPrompt {
  readonly requestId: string;
  readonly workerId: bigint;
  readonly dpRank: number;
}

/** A request that was told before. */
export interface NameSlot {
  readonly modelName: string;
  readonly routingGroup: string;
  readonly requestId: string;
}

const group = { model_name: text, routing_group: routingGroup } as const;
const prompt = {
  sequence_hashes: list(signedHash, 'an array of signed 64-bit sequence hashes'),
  new_isl_tokens: otherwise(usize, () => 0),
} as const;

/** The body of `/register` (spec kv-router 20). */
export const registerSlots: Shape<RegisterSlots> = struct<RegisterSlots>('RegisterRequest', {
  worker_id: u64,
  ...group,
  block_size: u32,
  dp_start: u32,
  dp_size: u32,
});
/** The body of `/unregister`. */
export const unregisterSlots: Shape<SlotWorker> = struct<SlotWorker>('UnregisterRequest', { worker_id: u64, ...group });
/** The body of `/add`. */
export const addSlot: Shape<AddSlot> = struct<AddSlot>('AddRequest', { ...group, request_id: text, worker_id: u64, dp_rank: u32, ...prompt });
/** The body of `/prefill_complete` and `/free`. */
export const nameSlot: Shape<NameSlot> = struct<NameSlot>('RequestIdRequest', { ...group, request_id: text });
/** The body of `/potential_loads`. */
export const potentialSlots: Shape<SlotPrompt> = struct<SlotPrompt>('PotentialLoadsRequest', { ...group, ...prompt });
/** A peer of `/replica_sync`. */
export const replicaPeer: Shape<{ readonly endpoint: string }> = struct<{ readonly endpoint: string }>('PeerRequest', { endpoint: text });

/** A registered worker as `/workers` shows it. */
export const slotWorkerToWire = (worker: RegisterSlots): unknown => ({
  worker_id: worker.workerId,
  model_name: worker.modelName,
  routing_group: worker.routingGroup,
  block_size: worker.blockSize,
  dp_start: worker.dpStart,
  dp_size: worker.dpSize,
});

/** What a rank carries, as `/loads` of the slot tracker shows it. */
export const slotLoadToWire = (group: { readonly model: string; readonly group: string }, load: RankLoad): unknown => ({
  model_name: group.model,
  routing_group: group.group,
  worker_id: load.workerId,
  dp_rank: load.dpRank,
  active_prefill_tokens: load.potentialPrefillTokens,
  active_decode_blocks: load.potentialDecodeBlocks,
});

/** What a rank would carry. */
export const potentialLoadToWire = (load: RankLoad): unknown => ({
  worker_id: load.workerId,
  dp_rank: load.dpRank,
  potential_prefill_tokens: load.potentialPrefillTokens,
  potential_decode_blocks: load.potentialDecodeBlocks,
  active_requests: load.activeRequests,
});

/** Topic of what slot trackers and selection services tell each other over ZMQ. */
export const slotTopic = 'dynamo.slot-tracker.v1';

/** One booking, and the group that it belongs to. */
export interface SlotEvent {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly event: SequenceEvent;
}

/** Writes one message of the topic: a map of the group and the event as routers tell it each other. */
export function encodeSlotEvent({ model, group, blockSize, event }: SlotEvent): Uint8Array {
  const head = Buffer.from(encodeMsgpack({ model_name: model, routing_group: group, block_size: blockSize }));
  // One member more: the event, which is written already.
  head[0] = (head[0] ?? 0) + 1;
  return Buffer.concat([head, encodeMsgpack('event'), encodeSequenceEvents([event], { bare: true })]);
}

/**
 * Reads one message of the topic.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong.
 */
export function decodeSlotEvent(payload: Uint8Array): SlotEvent {
  const { model_name: model, routing_group: group, block_size: blockSize, event } = object(decodeMsgpack(payload)) ?? {};
  if (typeof model !== 'string') throw wrong('model_name', 'text', model);
  if (typeof group !== 'string') throw wrong('routing_group', 'text', group);
  return { model, group, blockSize: u32From(blockSize, 'block_size'), event: sequenceEventFromWire(event) };
}
