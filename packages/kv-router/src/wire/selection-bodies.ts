import {
  list,
  mapOf,
  maybe,
  type Member,
  number,
  otherwise,
  type Shape,
  signedHash,
  struct,
  text,
  truth,
  u32,
  u64,
  usize,
  variant,
} from './body-shape.ts';
import { workerOverlapToWire } from './indexer-bodies.ts';
import type { RankOverlap } from './overlap-scores.ts';
import { defaultGroup, routingGroup } from './slot-bodies.ts';

/** What is said of a worker, apart from its name; everything may be said later. */
export interface WorkerFacts {
  readonly endpoint?: string | undefined;
  readonly kvEventsEndpoint?: string | undefined;
  /** By data-parallel rank. */
  readonly kvEventsEndpoints?: ReadonlyMap<string, string> | undefined;
  readonly replayEndpoint?: string | undefined;
  readonly blockSize?: number | undefined;
  readonly dataParallelStartRank?: number | undefined;
  readonly dataParallelSize?: number | undefined;
  readonly maxNumBatchedTokens?: number | undefined;
  readonly totalKvBlocks?: number | undefined;
  readonly stableRoutingId?: string | undefined;
  readonly isEagle?: boolean | undefined;
  readonly taints?: readonly string[] | undefined;
  readonly topologyDomains?: ReadonlyMap<string, string> | undefined;
  readonly kvTransferDomain?: string | undefined;
  readonly kvTransferEnforcement?: 'required' | 'preferred' | undefined;
  readonly kvTransferPreferredWeight?: number | undefined;
}

/** A worker of the catalog, as `POST /workers` takes it (spec kv-router 20). */
export interface WorkerRecord extends WorkerFacts {
  readonly workerId: bigint;
  readonly modelName: string;
  readonly routingGroup: string;
}

/** A prompt: by its tokens, or by what others made of them. */
export interface SelectPrompt {
  readonly tokenIds?: readonly number[] | undefined;
  readonly blockHashes?: readonly bigint[] | undefined;
  readonly sequenceHashes?: readonly bigint[] | undefined;
  readonly islTokens?: number | undefined;
  readonly modelName: string;
  readonly routingGroup: string;
  readonly loraName?: string | undefined;
  readonly cacheSalt?: string | undefined;
  readonly isEagle?: boolean | undefined;
}

/** A rank by its worker. */
export interface RankName {
  readonly workerId: bigint;
  readonly dpRank: number;
}

/** What is asked of a selection. */
export interface SelectBody extends SelectPrompt {
  readonly selectionId?: string | undefined;
  readonly routingConstraints?: { readonly requiredTaints: readonly string[]; readonly preferredTaints: ReadonlyMap<string, number> } | undefined;
  readonly pinnedWorker?: RankName | undefined;
  readonly allowedWorkerIds?: readonly bigint[] | undefined;
  readonly expectedOutputTokens?: number | undefined;
  readonly priorityJump?: number | undefined;
  readonly strictPriority?: number | undefined;
  readonly policyClass?: string | undefined;
  readonly sessionId?: string | undefined;
  readonly routerConfigOverride?: { readonly assumeKvReuse?: boolean | undefined; readonly trackPrefillTokens?: boolean | undefined } | undefined;
}

/** A selection to be counted: one that was made before, or with a worker one that was made elsewhere. */
export interface ReserveBody extends SelectPrompt {
  readonly selectionId: string;
  readonly workerId?: bigint | undefined;
  readonly dpRank: number;
  readonly expectedOutputTokens?: number | undefined;
}

const modelName: Member<string> = otherwise(text, () => defaultGroup);
const group = { model_name: modelName, routing_group: routingGroup } as const;

const facts = {
  endpoint: maybe(text),
  kv_events_endpoint: maybe(text),
  kv_events_endpoints: maybe(mapOf(text)),
  replay_endpoint: maybe(text),
  block_size: maybe(u32),
  data_parallel_start_rank: maybe(u32),
  data_parallel_size: maybe(u32),
  max_num_batched_tokens: maybe(usize),
  total_kv_blocks: maybe(usize),
  stable_routing_id: maybe(text),
  is_eagle: maybe(truth),
  taints: maybe(list(text)),
  topology_domains: maybe(mapOf(text)),
  kv_transfer_domain: maybe(text),
  kv_transfer_enforcement: maybe(variant('required', 'preferred')),
  kv_transfer_preferred_weight: maybe(number),
} as const;

const prompt = {
  token_ids: maybe(list(u32)),
  block_hashes: maybe(list(signedHash)),
  sequence_hashes: maybe(list(signedHash)),
  isl_tokens: maybe(usize),
  ...group,
  lora_name: maybe(text),
  cache_salt: maybe(text),
  is_eagle: maybe(truth),
} as const;

const rankName: Shape<RankName> = struct<RankName>('WorkerWithDpRank', { worker_id: u64, dp_rank: u32 });
const constraints = struct<NonNullable<SelectBody['routingConstraints']>>('RoutingConstraints', {
  required_taints: otherwise(list(text), () => []),
  preferred_taints: otherwise(mapOf(number), () => new Map()),
});
const override = struct<NonNullable<SelectBody['routerConfigOverride']>>('RouterConfigOverrideSerde', {
  assume_kv_reuse: maybe(truth),
  track_prefill_tokens: maybe(truth),
});

/** The body of `POST /workers`. */
export const workerRecord: Shape<WorkerRecord> = struct<WorkerRecord>('WorkerRequest', { worker_id: u64, ...group, ...facts });
/** The body of `PATCH /workers/ID`. */
export const workerPatch: Shape<WorkerFacts> = struct<WorkerFacts>('WorkerPatchRequest', facts);
/** The body of `/potential_loads` and `/overlap_scores`. */
export const selectPrompt: Shape<SelectPrompt> = struct<SelectPrompt>('SelectRequest', prompt);
/** The body of `/select` and `/select_and_reserve`. */
export const selectBody: Shape<SelectBody> = struct<SelectBody>('SelectRequest', {
  ...prompt,
  selection_id: maybe(text),
  routing_constraints: maybe(constraints),
  pinned_worker: maybe(rankName),
  allowed_worker_ids: maybe(list(u64)),
  expected_output_tokens: maybe(u32),
  priority_jump: maybe(number),
  strict_priority: maybe(u32),
  policy_class: maybe(text),
  session_id: maybe(text),
  router_config_override: maybe(override),
});
/** The body of `POST /reservations`. */
export const reserveBody: Shape<ReserveBody> = struct<ReserveBody>('ReservationRequest', {
  selection_id: text,
  ...prompt,
  worker_id: maybe(u64),
  dp_rank: otherwise(u32, () => 0),
  expected_output_tokens: maybe(u32),
});
/** The body of `POST /reservations/ID/output_block`. */
export const outputBlock: Shape<{ readonly decayFraction?: number | undefined }> = struct<{ readonly decayFraction?: number | undefined }>(
  'OutputBlockRequest',
  { decay_fraction: maybe(number) },
);

/** How far a worker of the catalog has come. */
export type Lifecycle = 'schedulable' | 'incomplete' | 'unschedulable';

/** A worker as the catalog shows it, members in the order of the real one. */
export const recordToWire = (record: WorkerRecord, lifecycle: Lifecycle, reasons: readonly string[] = []): unknown => ({
  worker_id: record.workerId,
  model_name: record.modelName,
  routing_group: record.routingGroup,
  lifecycle,
  endpoint: record.endpoint ?? null,
  kv_events_endpoint: record.kvEventsEndpoint ?? null,
  ...(record.kvEventsEndpoints === undefined ? {} : { kv_events_endpoints: Object.fromEntries(record.kvEventsEndpoints) }),
  replay_endpoint: record.replayEndpoint ?? null,
  block_size: record.blockSize ?? null,
  data_parallel_start_rank: record.dataParallelStartRank ?? null,
  data_parallel_size: record.dataParallelSize ?? null,
  max_num_batched_tokens: record.maxNumBatchedTokens ?? null,
  total_kv_blocks: record.totalKvBlocks ?? null,
  stable_routing_id: record.stableRoutingId ?? null,
  is_eagle: record.isEagle ?? null,
  taints: [...new Set(record.taints)],
  topology_domains: Object.fromEntries(record.topologyDomains ?? []),
  kv_transfer_domain: record.kvTransferDomain ?? null,
  kv_transfer_enforcement: record.kvTransferEnforcement ?? null,
  kv_transfer_preferred_weight: record.kvTransferPreferredWeight ?? null,
  ...(reasons.length === 0 ? {} : { not_schedulable_reasons: reasons }),
});

/** The part of a model card that routing reads of a worker. */
export const recordToCard = (record: WorkerRecord): unknown => ({
  kv_cache_block_size: record.blockSize,
  runtime_config: {
    data_parallel_start_rank: record.dataParallelStartRank,
    data_parallel_size: record.dataParallelSize,
    max_num_batched_tokens: record.maxNumBatchedTokens,
    total_kv_blocks: record.totalKvBlocks,
    stable_routing_id: record.stableRoutingId,
    enable_eagle: record.isEagle,
    taints: record.taints,
    topology_domains: Object.fromEntries(record.topologyDomains ?? []),
    kv_transfer_domain: record.kvTransferDomain,
    kv_transfer_enforcement: record.kvTransferEnforcement,
    kv_transfer_preferred_weight: record.kvTransferPreferredWeight,
  },
});

/** A selection, as it is answered. */
export interface Selected extends RankName {
  readonly selectionId?: string | undefined;
  readonly modelName: string;
  readonly routingGroup: string;
  readonly endpoint: string;
  readonly blockSize: number;
  /** What the chosen worker's ranks hold of the prompt. */
  readonly held: readonly RankOverlap[];
  readonly effectivePrefillTokens: number;
  readonly potentialDecodeBlocks: number;
  /** Present when it was counted. */
  readonly reserved?: { readonly sequence: readonly bigint[]; readonly isl: number; readonly trackPrefill: boolean } | undefined;
}

/** Writes a selection. */
export const selectedToWire = (selected: Selected): unknown => ({
  ...(selected.selectionId === undefined ? {} : { selection_id: selected.selectionId }),
  ...(selected.reserved === undefined
    ? {}
    : {
        sequence_hashes: selected.reserved.sequence.map((hash) => BigInt.asIntN(64, hash)),
        isl_tokens: selected.reserved.isl,
        track_prefill_tokens: selected.reserved.trackPrefill,
      }),
  ...placeToWire(selected),
  block_size: selected.blockSize,
  overlap: workerOverlapToWire(selected.held, selected.blockSize),
  effective_prefill_tokens: selected.effectivePrefillTokens,
  potential_decode_blocks: selected.potentialDecodeBlocks,
});

const placeToWire = ({ modelName: model, routingGroup: name, workerId, dpRank, endpoint }: Selected): Record<string, unknown> => ({
  model_name: model,
  routing_group: name,
  worker_id: workerId,
  dp_rank: dpRank,
  endpoint,
});

/** Writes what a reservation is answered. */
export const reservedToWire = (selectionId: string, selected: Selected): unknown => ({ selection_id: selectionId, ...placeToWire(selected) });

/** The loads of a group, and what waits in it. */
export const groupLoadsToWire = (
  name: { readonly model: string; readonly group: string },
  loads: readonly unknown[],
  pending: { readonly requests: number; readonly islTokens: number },
): unknown => ({
  model_name: name.model,
  routing_group: name.group,
  loads,
  pending_count: pending.requests,
  pending_isl_tokens: pending.islTokens,
});

/** Whether a worker can be chosen at all, and the whole catalog. */
export const readyToWire = (schedulable: number, workers: readonly unknown[]): unknown => ({
  ready: schedulable > 0,
  schedulable_workers: schedulable,
  workers,
});
