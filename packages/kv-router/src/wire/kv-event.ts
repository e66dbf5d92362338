import { DynamoError } from '@dynamo/runtime';
import { decodeMsgpack } from '@dynamo/runtime/internal';
import { object, type Wire } from './members.ts';

/** Where a block lies: the GPU, pinned host memory, disk, or somewhere that others own (spec kv-router 2). */
export type Tier = 'device' | 'host_pinned' | 'disk' | 'external';

/** An image or other media object inside a block; offsets are `[start, end)` relative to the block. */
export interface MediaObject {
  readonly hash: bigint;
  readonly offsets: readonly (readonly [number, number])[];
}

/** One block of a store: the engine's name for it, and what Dynamo computed from its tokens. */
export interface StoredBlock {
  readonly blockHash: bigint;
  readonly tokensHash: bigint;
  readonly media?: readonly MediaObject[];
}

/** What happened to the cache of one rank. */
export type KvChange =
  | { readonly type: 'stored'; readonly parent: bigint | undefined; readonly startPosition?: number; readonly blocks: readonly StoredBlock[] }
  | { readonly type: 'removed'; readonly hashes: readonly bigint[] }
  | { readonly type: 'cleared' };

/** One change with its number and its place. */
export interface RouterEvent {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly tier: Tier;
  /** Absent in events of older publishers: their `cleared` then means every domain of the rank. */
  readonly domain?: 'worker' | 'cache_owner';
  readonly id: number;
  readonly change: KvChange;
  /** The conversation that a store belongs to, where the engine says so. */
  readonly sessionId?: string;
}

const tiers: readonly string[] = ['device', 'host_pinned', 'disk', 'external'] satisfies Tier[];

/** The wire form of an event, in the member order that the real publisher writes (spec kv-router 2). */
export function toWire(event: RouterEvent): Wire {
  return {
    worker_id: event.workerId,
    storage_tier: event.tier,
    ...(event.domain === undefined ? {} : { residency_domain: event.domain }),
    event: { event_id: event.id, data: changeToWire(event.change), dp_rank: event.dpRank },
    ...(event.sessionId === undefined ? {} : { session_id: event.sessionId }),
  };
}

function changeToWire(change: KvChange): unknown {
  if (change.type === 'cleared') return 'cleared';
  if (change.type === 'removed') return { removed: { block_hashes: change.hashes } };
  return {
    stored: { parent_hash: change.parent ?? null, start_position: change.startPosition ?? null, blocks: change.blocks.map(blockToWire) },
  };
}

const blockToWire = (block: StoredBlock): Wire => ({
  block_hash: block.blockHash,
  tokens_hash: block.tokensHash,
  mm_extra_info: block.media === undefined ? null : { mm_objects: block.media.map(({ hash, offsets }) => ({ mm_hash: hash, offsets })) },
});

/**
 * Reads one message of the `kv-events` topic.
 *
 * @throws DynamoError `backend_protocol` naming the member that is wrong; an event of an unknown domain is left out, as
 * the spec says (kv-router 2).
 */
export function decodeRouterEvents(payload: Uint8Array): RouterEvent[] {
  const value = decodeMsgpack(payload);
  if (!Array.isArray(value)) throw wrong('the message', 'an array of events', value);
  return value.flatMap((item) => eventFromWire(item) ?? []);
}

/** Reads those events of a message that can be read: one that can't spoils none of its neighbours. */
export function readableEvents(payload: Uint8Array): RouterEvent[] {
  let value: unknown;
  try {
    value = decodeMsgpack(payload);
  } catch {
    return [];
  }
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown) => {
    try {
      return eventFromWire(item) ?? [];
    } catch {
      return [];
    }
  });
}

/** Reads one event; undefined when its domain is one that this version does not know. */
export function eventFromWire(value: unknown): RouterEvent | undefined {
  const outer = object(value) ?? fail('an event', 'a map', value);
  const inner = object(outer['event']) ?? fail('event', 'a map', outer['event']);
  const tier = outer['storage_tier'] ?? 'device';
  if (typeof tier !== 'string' || !tiers.includes(tier)) throw wrong('storage_tier', `one of ${tiers.join(', ')}`, tier);
  const { residency_domain: domain } = outer;
  if ('residency_domain' in outer && domain !== 'worker' && domain !== 'cache_owner') return undefined;
  return {
    workerId: u64(outer['worker_id'], 'worker_id'),
    dpRank: inner['dp_rank'] === undefined ? 0 : u32(inner['dp_rank'], 'dp_rank'),
    tier: tier as Tier,
    ...(domain === undefined ? {} : { domain: domain as 'worker' | 'cache_owner' }),
    id: Number(u64(inner['event_id'], 'event_id')),
    change: changeFromWire(inner['data']),
    ...(typeof outer['session_id'] === 'string' ? { sessionId: outer['session_id'] } : {}),
  };
}

function changeFromWire(data: unknown): KvChange {
  if (data === 'cleared') return { type: 'cleared' };
  const variants = object(data) ?? fail('data', 'stored, removed or cleared', data);
  const stored = object(variants['stored']);
  if (stored !== undefined) {
    const { parent_hash: parent, start_position: start, blocks } = stored;
    if (!Array.isArray(blocks)) throw wrong('blocks', 'an array', blocks);
    return {
      type: 'stored',
      parent: parent === null || parent === undefined ? undefined : u64(parent, 'parent_hash'),
      ...(typeof start === 'number' ? { startPosition: start } : {}),
      blocks: blocks.map(blockFromWire),
    };
  }
  const removed = object(variants['removed']);
  if (removed === undefined || !Array.isArray(removed['block_hashes'])) throw wrong('data', 'stored, removed or cleared', data);
  return { type: 'removed', hashes: removed['block_hashes'].map((hash) => u64(hash, 'block_hashes')) };
}

function blockFromWire(value: unknown): StoredBlock {
  const block = object(value) ?? fail('a block', 'a map', value);
  const media = mediaFromWire(block['mm_extra_info']);
  return {
    blockHash: u64(block['block_hash'], 'block_hash'),
    tokensHash: u64(block['tokens_hash'], 'tokens_hash'),
    ...(media === undefined ? {} : { media }),
  };
}

/** Reads `{ mm_objects: [{ mm_hash, offsets }] }`; null and absent mean none. */
export function mediaFromWire(value: unknown): MediaObject[] | undefined {
  if (value === null || value === undefined) return undefined;
  const objects = object(value)?.['mm_objects'];
  if (!Array.isArray(objects)) throw wrong('mm_objects', 'an array', objects);
  return objects.map((item) => {
    const { mm_hash: hash, offsets } = object(item) ?? fail('an mm object', 'a map', item);
    if (!Array.isArray(offsets)) throw wrong('offsets', 'an array of pairs', offsets);
    return { hash: u64(hash, 'mm_hash'), offsets: offsets.map(pair) };
  });
}

function pair(value: unknown): readonly [number, number] {
  if (!Array.isArray(value) || value.length !== 2) throw wrong('offsets', 'an array of pairs', value);
  return [Number(u64(value[0], 'offsets')), Number(u64(value[1], 'offsets'))];
}

/** A hash or id: any 64-bit integer, where signed ones are taken by their bits (spec kv-router 1.4). */
export function u64(value: unknown, member: string): bigint {
  if (typeof value === 'bigint') return BigInt.asUintN(64, value);
  if (typeof value === 'number' && Number.isInteger(value)) return BigInt.asUintN(64, BigInt(value));
  throw wrong(member, 'a 64-bit integer', value);
}

/** A count or rank. */
export function u32(value: unknown, member: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff) return value;
  throw wrong(member, 'a 32-bit unsigned integer', value);
}

/** What every reader of KV messages throws. */
export const wrong = (member: string, expected: string, got: unknown): DynamoError =>
  new DynamoError('backend_protocol', `${member} must be ${expected}, got ${text(got)}`, { data: { member } });

const fail = (member: string, expected: string, got: unknown): never => {
  throw wrong(member, expected, got);
};

const text = (value: unknown): string =>
  value === undefined ? 'nothing' : typeof value === 'object' ? (Array.isArray(value) ? 'an array' : 'an object') : String(value).slice(0, 80);
