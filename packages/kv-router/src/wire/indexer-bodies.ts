import type { RankOverlap } from './overlap-scores.ts';
import { list, maybe, type Member, otherwise, type Shape, signedHash, struct, text, u32, u64 } from './body-shape.ts';
import { type RouterEvent, toWire } from './kv-event.ts';
import { routingGroup } from './slot-bodies.ts';

/** An engine to listen to, as `/register` of the indexer takes it (spec kv-router 20). */
export interface RegisterEngine {
  readonly instanceId: bigint;
  readonly endpoint: string;
  readonly modelName: string;
  readonly blockSize: number;
  readonly dpRank: number;
  readonly routingGroup: string;
  readonly replayEndpoint?: string | undefined;
}

/** A prompt by its tokens. */
export interface QueryTokens {
  readonly tokenIds: readonly number[];
  readonly modelName: string;
  readonly loraName?: string | undefined;
  readonly cacheSalt?: string | undefined;
  readonly routingGroup: string;
}

/** A prompt by the hashes of its blocks. */
export interface QueryHashes {
  readonly blockHashes: readonly bigint[];
  readonly modelName: string;
  readonly cacheSalt?: string | undefined;
  readonly routingGroup: string;
}

/** An instance of a model. */
export interface EngineName {
  readonly instanceId: bigint;
  readonly modelName: string;
  readonly routingGroup: string;
}

const rank: Member<number> = otherwise(u32, () => 0);

/** The body of `/register`. */
export const registerEngine: Shape<RegisterEngine> = struct<RegisterEngine>('RegisterRequest', {
  instance_id: u64,
  endpoint: text,
  model_name: text,
  block_size: u32,
  dp_rank: rank,
  routing_group: routingGroup,
  replay_endpoint: maybe(text),
});
/** The body of `/unregister`. */
export const unregisterEngine: Shape<EngineName> = struct<EngineName>('UnregisterRequest', {
  instance_id: u64,
  model_name: text,
  routing_group: routingGroup,
});
/** The body of `/query`. */
export const queryTokens: Shape<QueryTokens> = struct<QueryTokens>('QueryRequest', {
  token_ids: list(u32),
  model_name: text,
  lora_name: maybe(text),
  cache_salt: maybe(text),
  routing_group: routingGroup,
});
/** The body of `/query_by_hash`. */
export const queryHashes: Shape<QueryHashes> = struct<QueryHashes>('QueryByHashRequest', {
  block_hashes: list(signedHash),
  model_name: text,
  cache_salt: maybe(text),
  routing_group: routingGroup,
});
/** A peer indexer, by the address of its HTTP door. */
export const indexerPeer: Shape<{ readonly url: string }> = struct<{ readonly url: string }>('PeerRequest', { url: text });

/** What one worker holds of a prompt, in tokens: each tier with those before it, the most of any rank (spec kv-router 20). */
export function workerOverlapToWire(ranks: readonly RankOverlap[], blockSize: number): unknown {
  const most = (blocks: (rank: RankOverlap) => number): number => Math.max(0, ...ranks.map(blocks)) * blockSize;
  const all = most(({ device, host, disk }) => device + host + disk);
  return {
    longest_matched: all,
    gpu: most(({ device }) => device),
    dp: Object.fromEntries(ranks.map(({ dpRank, device }) => [dpRank, device * blockSize])),
    cpu: most(({ device, host }) => device + host),
    disk: all,
  };
}

/** The answer to a query: by worker, the tokens of each rank on its device, and of all its tiers. */
export function queryAnswerToWire(ranks: readonly RankOverlap[], blockSize: number): unknown {
  const scores: Record<string, Record<number, number>> = {};
  const workers = new Map<bigint, RankOverlap[]>();
  for (const rank of ranks) {
    if (rank.device + rank.host + rank.disk === 0) continue;
    if (rank.device > 0) (scores[String(rank.workerId)] ??= {})[rank.dpRank] = rank.device * blockSize;
    workers.set(rank.workerId, [...(workers.get(rank.workerId) ?? []), rank]);
  }
  const instances = Object.fromEntries([...workers].map(([id, held]) => [String(id), workerOverlapToWire(held, blockSize)]));
  return { scores, frequencies: [], instances };
}

/** A group's whole index, as `/dump` shows it. */
export const dumpToWire = (blockSize: number, events: readonly RouterEvent[]): unknown => ({ block_size: blockSize, events: events.map(toWire) });

/** A worker that is listened to. */
export const engineToWire = (engine: EngineName & { readonly blockSize: number; readonly endpoints: ReadonlyMap<number, string> }): unknown => ({
  instance_id: engine.instanceId,
  source: 'zmq',
  status: 'active',
  model_name: engine.modelName,
  routing_group: engine.routingGroup,
  block_size: engine.blockSize,
  endpoints: Object.fromEntries(engine.endpoints),
  listeners: Object.fromEntries([...engine.endpoints].map(([dpRank, endpoint]) => [dpRank, { endpoint, status: 'active' }])),
});
