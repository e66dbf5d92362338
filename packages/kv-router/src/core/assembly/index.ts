/** What the module exports: numbers and addresses only. core.ts is its face. */
import { liveBytes } from './alloc';
import { MEMORY_FULL, NOT_AN_EVENT, NO_EFFECT, OK, cleared, removed, stored } from './apply';
import { bufferBytes, room } from './buffer';
import { decode } from './decode';
import {
  CLEARED,
  COUNT,
  DP_RANK,
  HAS_PARENT,
  MALFORMED,
  PARENT,
  REMOVED,
  SEEN,
  STORED,
  TIER,
  WORKER,
  blocksOfEvent,
  eventAt,
  tokensOfEvent,
} from './decoded';
import { heldBlocks, heldBytes, sweep } from './evict';
import { expire, forgetStamps, hasStamp } from './expiry';
import { xxh3 } from './hash';
import { NO_RANK, coverageOf, rankCount, rankOf, unbindRank } from './rank';
import { sequenceAdd, sequenceDepths, sequenceForget, sequenceHolders, sequenceRemove } from './sequence';
import { tierCleared, tierRemoved, tierStored } from './tier';

export { setLimit } from './alloc';
export { evictedBlockCount, setCaps } from './evict';
export { predict, stampCount } from './expiry';
export { find } from './find';
export { entryCount } from './lookup';
export { nodeCount } from './node';
export { setShortLength } from './position';
export { promptChain, promptHash, promptLocal, promptRoom, promptSequence, promptTokens } from './prompt';
export { bindRank, expectRanks, lastArea, pairsArea, rankCount, tierArea } from './rank';
export { sequenceCount } from './sequence';
export { edgeCount, findTiers, tierEntryCount } from './tier';
export { dumpNext, dumpNextEdge, dumpStart } from './dump';
export { eventAt } from './decoded';

const INPUT: usize = memory.data(8, 8);
const OTHER: usize = memory.data(8, 8);
const DROPPED: usize = memory.data(8, 8);
const PADDING: usize = 32;

/** Where at least `bytes` of input may be written, until this is called again; 0 without memory. */
export function input(bytes: usize): usize {
  return room(INPUT, bytes + PADDING);
}

/** How many bytes of input there is room for. */
export function inputCapacity(): usize {
  return load<usize>(INPUT, 4) - PADDING;
}

export function hashInput(bytes: u32, seed: u64): u64 {
  return xxh3(load<usize>(INPUT), bytes, seed);
}

/** Decodes `bytes` of input: see decode.ts. */
export function decodeInput(bytes: usize, asJson: bool): u32 {
  const end = load<usize>(INPUT) + bytes;
  // Decoders read a few bytes past what they have checked.
  v128.store(end, i64x2.splat(0));
  v128.store(end, i64x2.splat(0), 16);
  return decode(load<usize>(INPUT), bytes, asJson);
}

/** The rank that a decoded event is of, by its worker_id and dp_rank. */
export function rankOfEvent(i: u32): u32 {
  const event = eventAt(i);
  return rankOf(load<u64>(event, WORKER), load<u32>(event, DP_RANK));
}

/** Applies a decoded event to the rank of a worker that has the event's dp_rank; `NO_RANK` when there is none. */
export function applyEventOf(i: u32, workerId: u64): u32 {
  const event = eventAt(i);
  if (load<u32>(event) == MALFORMED) return NOT_AN_EVENT;
  const rank = rankOf(workerId, load<u32>(event, DP_RANK));
  return rank == NO_RANK ? NO_RANK : applyEvent(i, rank);
}

/** Applies a decoded event to a rank. */
export function applyEvent(i: u32, rank: u32): u32 {
  const event = eventAt(i);
  const kind = load<u32>(event);
  const tier = load<u32>(event, TIER);
  const n = load<u32>(event, COUNT);
  const chained = (load<u32>(event, SEEN) & HAS_PARENT) != 0;
  if (kind == STORED) {
    const parent = load<u64>(event, PARENT);
    if (tier) return tierStored(tier, rank, chained, parent, n, tokensOfEvent(event), blocksOfEvent(event));
    return stored(rank, chained, parent, n, tokensOfEvent(event), blocksOfEvent(event));
  }
  if (kind == REMOVED) return tier ? tierRemoved(tier, rank, n, blocksOfEvent(event)) : removeBlocks(rank, n, blocksOfEvent(event));
  if (kind == CLEARED) {
    clearRank(rank);
    return OK;
  }
  return kind == MALFORMED ? NOT_AN_EVENT : NO_EFFECT;
}

function removeBlocks(rank: u32, n: u32, blocks: usize): u32 {
  const dropped = room(DROPPED, <usize>n * 12 + 16);
  return dropped ? removed(rank, n, blocks, dropped) : MEMORY_FULL;
}

/** Stores blocks that stand in the input: `n` token hashes, then `n` block hashes. */
export function storeInput(tier: u32, rank: u32, chained: bool, parent: u64, n: u32): u32 {
  const tokens = load<usize>(INPUT);
  const blocks = tokens + ((<usize>n) << 3);
  return tier ? tierStored(tier, rank, chained, parent, n, tokens, blocks) : stored(rank, chained, parent, n, tokens, blocks);
}

/** Removes `n` blocks whose hashes stand in the input. */
export function removeInput(tier: u32, rank: u32, n: u32): u32 {
  return tier ? tierRemoved(tier, rank, n, load<usize>(INPUT)) : removeBlocks(rank, n, load<usize>(INPUT));
}

/** Forgets a rank's blocks on all tiers; its number stays. */
export function clearRank(rank: u32): void {
  if (rank >= rankCount()) return;
  cleared(rank);
  tierCleared(rank);
  forgetStamps(rank);
}

/** Forgets everything of a rank, so that its number may go to another. */
export function forgetRank(rank: u32): void {
  if (rank >= rankCount()) return;
  clearRank(rank);
  if (coverageOf(rank)) sweep(rank);
  sequenceForget(rank);
  unbindRank(rank);
}

/** Removes those of `n` blocks in the input that still have this stamp. */
export function expireInput(rank: u32, stamp: u32, n: u32): u32 {
  const dropped = room(DROPPED, <usize>n * 12 + 16);
  return dropped ? expire(rank, stamp, load<usize>(INPUT), n, dropped) : 0;
}

/** Whether the block at place `i` of the input still has this stamp. */
export function hasStampInput(rank: u32, stamp: u32, i: u32): bool {
  return hasStamp(rank, stamp, load<usize>(INPUT) + ((<usize>i) << 3));
}

export function addInput(rank: u32, n: u32): u32 {
  return sequenceAdd(rank, load<usize>(INPUT), n);
}

export function removeSequenceInput(rank: u32, n: u32): u32 {
  return sequenceRemove(rank, load<usize>(INPUT), n);
}

/** Where the request counts of `n` hashes in the input are written; 0 without memory. */
export function holdersInput(rank: u32, n: u32): usize {
  const out = room(OTHER, ((<usize>n) << 2) + 16);
  if (out) sequenceHolders(rank, load<usize>(INPUT), n, out);
  return out;
}

/** Where the depth of each rank is written, for `n` hashes at an address; 0 without memory. */
export function depthsAt(hashes: usize, n: u32): usize {
  const out = room(OTHER, ((<usize>rankCount()) << 2) + 16);
  if (out) sequenceDepths(hashes, n, out);
  return out;
}

export function heldBlockCount(): u32 {
  return heldBlocks();
}

export function heldByteCount(): f64 {
  return <f64>heldBytes();
}

export function workingByteCount(): f64 {
  return <f64>(liveBytes() - bufferBytes());
}
