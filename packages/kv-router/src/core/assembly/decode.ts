/**
 * KV events from MessagePack or JSON (spec kv-router 2): one event or an array of them, as a router event or bare.
 *
 * Members may come in any order, unknown ones are passed over. An event that is wrong inside is kept as malformed and
 * its neighbours are read on; only when the text itself breaks is the rest of a message lost.
 */
import { end, fail, forgive, hasFailed, here, moveTo, startAt, textAt, textLength } from './cursor';
import {
  CLEARED,
  DP_RANK,
  EVENT_ID,
  HAS_DATA,
  HAS_DOMAIN,
  HAS_ID,
  HAS_PARENT,
  HAS_WORKER,
  MALFORMED,
  PARENT,
  REMOVED,
  SEEN,
  STORED,
  TIER,
  UNSUPPORTED,
  WORKER,
  addBlock,
  clearDecoded,
  decodedCount,
  emptyEvent,
  endBlocks,
  eventAt,
  newEvent,
} from './decoded';
import * as json from './json';
import { plainBlocks, plainHashes } from './plain';
import { enterArray, enterMap, isArray, isText, nextEntry, nextItem, nil, pass, readText, readsJson, unsigned, useJson } from './reader';
import { equals, text } from './text';

const worker_id: usize = text('worker_id');
const storage_tier: usize = text('storage_tier');
const residency_domain: usize = text('residency_domain');
const event: usize = text('event');
const event_id: usize = text('event_id');
const data: usize = text('data');
const dp_rank: usize = text('dp_rank');
const stored: usize = text('stored');
const removed: usize = text('removed');
const cleared: usize = text('cleared');
const parent_hash: usize = text('parent_hash');
const blocks: usize = text('blocks');
const block_hashes: usize = text('block_hashes');
const block_hash: usize = text('block_hash');
const tokens_hash: usize = text('tokens_hash');
const worker: usize = text('worker');
const cache_owner: usize = text('cache_owner');
const device: usize = text('device');
const host_pinned: usize = text('host_pinned');
const disk: usize = text('disk');
const external: usize = text('external');

function is(known: usize): bool {
  return equals(textAt(), textLength(), known);
}

/** Reads a message; says how many events it held, malformed ones among them. */
export function decode(from: usize, bytes: usize, asJson: bool): u32 {
  startAt(from, from + bytes);
  useJson(asJson);
  clearDecoded();
  if (isArray()) {
    let left = enterArray();
    while ((left = nextItem(left)) >= 0) if (!readEvent()) break;
  } else readEvent();
  // Behind a JSON text only white space may follow.
  if (asJson && !hasFailed() && (json.peek() != 0 || here() < end())) newEvent();
  else if (hasFailed() && (decodedCount() == 0 || load<u32>(eventAt(decodedCount() - 1)) != MALFORMED)) newEvent();
  return decodedCount();
}

/** Reads one event; false when what follows it cannot be found. */
function readEvent(): bool {
  const start = here();
  const record = newEvent();
  if (record == 0) return false;
  const router = readMembers(record, true);
  const needed = HAS_ID | HAS_DATA | (router ? HAS_WORKER : 0);
  if (!hasFailed() && (load<u32>(record, SEEN) & needed) == needed) return true;
  forgive();
  emptyEvent(record);
  moveTo(start);
  pass();
  return !hasFailed();
}

/** Reads the members of an event; true if there was another event inside. */
function readMembers(record: usize, outer: bool): bool {
  let router = false;
  let left = enterMap();
  while ((left = nextEntry(left)) >= 0 && !hasFailed()) {
    if (outer && is(event)) {
      router = true;
      readMembers(record, false);
    } else if (is(data)) readData(record);
    else if (is(event_id)) {
      store<u64>(record, unsigned(), EVENT_ID);
      see(record, HAS_ID);
    } else if (is(dp_rank)) {
      const rank = unsigned();
      if (rank > 0xffffffff) fail();
      store<u32>(record, <u32>rank, DP_RANK);
    } else if (outer && is(worker_id)) {
      store<u64>(record, unsigned(), WORKER);
      see(record, HAS_WORKER);
    } else if (outer && is(storage_tier)) readTier(record);
    else if (outer && is(residency_domain)) readDomain(record);
    else pass();
  }
  if (outer && !(load<u32>(record, SEEN) & HAS_DOMAIN) && load<u32>(record, SEEN) & UNKNOWN_DOMAIN) store<u32>(record, UNSUPPORTED);
  return router;
}

/** A residency domain was there that nobody knows. */
const UNKNOWN_DOMAIN: u32 = 32;

function see(record: usize, what: u32): void {
  store<u32>(record, load<u32>(record, SEEN) | what, SEEN);
}

function readTier(record: usize): void {
  if (!readText()) return;
  if (is(device)) store<u32>(record, 0, TIER);
  else if (is(host_pinned)) store<u32>(record, 1, TIER);
  else if (is(disk)) store<u32>(record, 2, TIER);
  else if (is(external)) store<u32>(record, 3, TIER);
  else fail();
}

function readDomain(record: usize): void {
  if (isText()) {
    readText();
    see(record, is(worker) || is(cache_owner) ? HAS_DOMAIN : UNKNOWN_DOMAIN);
  } else {
    pass();
    see(record, UNKNOWN_DOMAIN);
  }
}

/** The event proper: a text, or a map of one entry. */
function readData(record: usize): void {
  see(record, HAS_DATA);
  if (isText()) {
    if (readText() && is(cleared)) store<u32>(record, CLEARED);
    else fail();
    return;
  }
  let left = nextEntry(enterMap());
  if (left < 0) fail();
  else if (is(stored)) readStored(record);
  else if (is(removed)) readRemoved(record);
  else if (is(cleared) && nil()) store<u32>(record, CLEARED);
  else fail();
  if (!hasFailed() && nextEntry(left) >= 0) fail();
  endBlocks(record);
}

function readStored(record: usize): void {
  store<u32>(record, STORED);
  let found = false;
  let left = enterMap();
  while ((left = nextEntry(left)) >= 0 && !hasFailed()) {
    if (is(blocks)) {
      found = true;
      readBlocks();
    } else if (is(parent_hash)) {
      if (nil()) continue;
      store<u64>(record, unsigned(), PARENT);
      see(record, HAS_PARENT);
    } else pass();
  }
  if (!found) fail();
}

function readBlocks(): void {
  let left = enterArray();
  if (left >= 0 && readsJson() && plainBlocks()) left = 0;
  while ((left = nextItem(left)) >= 0 && !hasFailed()) readBlock();
}

function readBlock(): void {
  let block: u64 = 0;
  let tokens: u64 = 0;
  let seen = 0;
  let left = enterMap();
  while ((left = nextEntry(left)) >= 0 && !hasFailed()) {
    if (is(block_hash)) {
      block = unsigned();
      seen |= 1;
    } else if (is(tokens_hash)) {
      tokens = unsigned();
      seen |= 2;
    } else pass();
  }
  if (seen != 3) fail();
  else addBlock(block, tokens);
}

function readRemoved(record: usize): void {
  store<u32>(record, REMOVED);
  let found = false;
  let left = enterMap();
  while ((left = nextEntry(left)) >= 0 && !hasFailed()) {
    if (!is(block_hashes)) {
      pass();
      continue;
    }
    found = true;
    let items = enterArray();
    if (items >= 0 && readsJson() && plainHashes()) items = 0;
    while ((items = nextItem(items)) >= 0 && !hasFailed()) addBlock(unsigned(), 0);
  }
  if (!found) fail();
}
