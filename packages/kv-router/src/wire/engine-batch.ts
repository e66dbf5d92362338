import { DynamoError } from '@dynamo/runtime';
import { decodeMsgpack } from '@dynamo/runtime/internal';
import { type MediaObject, mediaFromWire, u32, u64, wrong } from './kv-event.ts';
import { object, type Wire } from './members.ts';

/** What says whether an event concerns this worker's own cache (spec kv-router 14.3). */
export interface EngineScope {
  readonly medium?: string;
  readonly group?: number;
  readonly kind?: string;
  readonly locality?: string;
  readonly ownership?: unknown;
}

/** Blocks that an engine has cached: its hashes and the tokens behind them. */
export interface EngineStored extends EngineScope {
  readonly type: 'stored';
  readonly hashes: readonly bigint[];
  readonly parent: bigint | undefined;
  readonly tokens: readonly number[];
  /** Tokens came as overlapping pairs: blocks hash one token more than their size. */
  readonly eagle: boolean;
  readonly blockSize: number;
  readonly loraName?: string;
  readonly salt?: string;
  /** The conversation that the blocks belong to. */
  readonly sessionId?: string;
  /** Per block, whatever else the engine put into its own hash. */
  readonly extraKeys?: readonly unknown[];
  readonly media?: readonly (readonly MediaObject[] | undefined)[];
}

/** One event of vLLM, SGLang or TensorRT-LLM. */
export type EngineEvent =
  | EngineStored
  | (EngineScope & { readonly type: 'removed'; readonly hashes: readonly bigint[] })
  | { readonly type: 'cleared'; readonly ownership?: unknown }
  | { readonly type: 'ignored' };

/** One message of an engine. */
export interface EngineBatch {
  readonly events: readonly EngineEvent[];
  readonly dpRank: number;
}

/**
 * Reads an engine's message: `[time, events, data_parallel_rank]`, events as maps or as tagged arrays (spec kv-router 14.2).
 *
 * @throws DynamoError `backend_protocol`: one event that can't be read spoils its whole batch, as in the real system.
 */
export function decodeEngineBatch(payload: Uint8Array, defaultRank = 0): EngineBatch {
  const value = decodeMsgpack(payload);
  if (!Array.isArray(value) || value.length !== 3) throw wrong('the batch', 'an array of time, events and rank', value);
  const [time, events, rank] = value as [unknown, unknown, unknown];
  if (typeof time !== 'number' && typeof time !== 'bigint') throw wrong('the time', 'a number', time);
  if (!Array.isArray(events)) throw wrong('events', 'an array', events);
  return { events: events.map(readEvent), dpRank: rank === null || rank === undefined ? defaultRank : u32(rank, 'data_parallel_rank') };
}

function readEvent(value: unknown): EngineEvent {
  const event = Array.isArray(value) ? fromArray(value) : object(value);
  switch (event?.['type']) {
    case 'BlockStored':
      return readStored(event);
    case 'BlockRemoved':
      return { type: 'removed', hashes: hashes(event['block_hashes']), ...readScope(event) };
    case 'AllBlocksCleared':
      return { type: 'cleared', ...(event['ownership'] === undefined ? {} : { ownership: event['ownership'] }) };
    case 'Ignored':
      return { type: 'ignored' };
    default:
      throw new DynamoError('backend_protocol', `an event of the unknown type '${String(event?.['type'])}'`, { data: { member: 'type' } });
  }
}

const heads: Readonly<Record<string, readonly string[]>> = {
  BlockStored: ['block_hashes', 'parent_block_hash', 'token_ids', 'block_size', 'lora_id', 'medium', 'lora_name', 'extra_keys'],
  BlockRemoved: ['block_hashes', 'medium'],
  AllBlocksCleared: ['ownership'],
};

/** Gives a tagged array the names that the map form has. */
function fromArray(items: readonly unknown[]): Wire {
  const [tag, ...rest] = items;
  const names = typeof tag === 'string' ? heads[tag] : undefined;
  const event: Wire = { type: tag };
  if (names === undefined) return event;
  names.forEach((name, index) => {
    if (rest[index] !== null) event[name] = rest[index];
  });
  return Object.assign(event, tag === 'AllBlocksCleared' ? {} : readTail(rest.slice(names.length)));
}

const isText = (item: unknown): boolean => item === null || typeof item === 'string';
const isWhole = (item: unknown): boolean => item === null || typeof item === 'number';

/** The items behind the named ones: in a fixed order when four or more fit it, else told by their types (spec kv-router 14.2). */
function readTail(items: readonly unknown[]): Wire {
  const [group, kind, window, locality, ownership] = items;
  const fits = isWhole(group) && isText(kind) && isWhole(window) && isText(locality) && (ownership === undefined || isText(ownership));
  if (items.length >= 4 && fits) return { group_idx: group, kv_cache_spec_kind: kind, locality, ownership };
  return {
    group_idx: items.find((item) => typeof item === 'number'),
    kv_cache_spec_kind: items.find((item) => typeof item === 'string'),
  };
}

function readStored(event: Wire): EngineStored {
  const { parent_block_hash: parent, extra_keys: extra, block_mm_infos: infos } = event;
  const { tokens, eagle } = readTokens(event['token_ids']);
  const loraName = words(event['lora_name'], 'lora_name');
  const salt = words(event['cache_salt'], 'cache_salt');
  const sessionId = words(event['session_id'], 'session_id');
  return {
    type: 'stored',
    hashes: hashes(event['block_hashes']),
    parent: parent === null || parent === undefined ? undefined : u64(parent, 'parent_block_hash'),
    tokens,
    eagle,
    blockSize: u32(event['block_size'], 'block_size'),
    ...(loraName === undefined ? {} : { loraName }),
    ...(salt === undefined ? {} : { salt }),
    ...(sessionId === undefined ? {} : { sessionId }),
    ...(Array.isArray(extra) ? { extraKeys: extra } : {}),
    ...(Array.isArray(infos) ? { media: infos.map(mediaFromWire) } : {}),
    ...readScope(event),
  };
}

function readScope(event: Wire): EngineScope {
  const { group_idx: group, ownership } = event;
  const medium = words(event['medium'], 'medium');
  const kind = words(event['kv_cache_spec_kind'], 'kv_cache_spec_kind');
  const locality = words(event['locality'], 'locality');
  return {
    ...(medium === undefined ? {} : { medium }),
    ...(group === null || group === undefined ? {} : { group: u32(group, 'group_idx') }),
    ...(kind === undefined ? {} : { kind }),
    ...(locality === undefined ? {} : { locality }),
    ...(ownership === null || ownership === undefined ? {} : { ownership }),
  };
}

/** An optional text; the empty one counts as absent everywhere in these messages. */
function words(value: unknown, member: string): string | undefined {
  if (value === null || value === undefined || value === '') return undefined;
  if (typeof value !== 'string') throw wrong(member, 'text', value);
  return value;
}

function hashes(value: unknown): bigint[] {
  if (!Array.isArray(value)) throw wrong('block_hashes', 'an array', value);
  return value.map((hash) => u64(hash, 'block_hashes'));
}

/** Token ids, or overlapping pairs of them, whose first members and last second one are the tokens (spec kv-router 14.2). */
function readTokens(value: unknown): { tokens: readonly number[]; eagle: boolean } {
  if (!Array.isArray(value)) throw wrong('token_ids', 'an array of token ids', value);
  if (!Array.isArray(value[0])) {
    for (const token of value) u32(token, 'token_ids');
    return { tokens: value as number[], eagle: false };
  }
  const tokens: number[] = [];
  let last = 0;
  for (const item of value) {
    if (!Array.isArray(item) || item.length !== 2) throw wrong('token_ids', 'an array of pairs', item);
    tokens.push(u32(item[0], 'token_ids'));
    last = u32(item[1], 'token_ids');
  }
  tokens.push(last);
  return { tokens, eagle: true };
}
