/**
 * Decoded events: what a message held, before any of it is applied.
 *
 * Event, 48 bytes: 0 kind, 4 tier, 8 worker_id u64, 16 dp_rank, 20 what was there, 24 event_id u64, 32 parent u64, 40 blocks,
 * 44 its first place in the two arrays of u64 that all events of the message share: block hashes and token hashes.
 */
import { room } from './buffer';
import { fail } from './cursor';

const EVENTS: usize = memory.data(8, 8);
const BLOCKS: usize = memory.data(8, 8);
const TOKENS: usize = memory.data(8, 8);
const BYTES: usize = 48;

export const MALFORMED: u32 = 0;
export const STORED: u32 = 1;
export const REMOVED: u32 = 2;
export const CLEARED: u32 = 3;
/** Well formed, but of a domain that is not known: it must have no effect (spec kv-router 2). */
export const UNSUPPORTED: u32 = 4;

export const TIER: usize = 4;
export const WORKER: usize = 8;
export const DP_RANK: usize = 16;
export const SEEN: usize = 20;
export const EVENT_ID: usize = 24;
export const PARENT: usize = 32;
export const COUNT: usize = 40;
export const START: usize = 44;

export const HAS_WORKER: u32 = 1;
export const HAS_ID: u32 = 2;
export const HAS_DATA: u32 = 4;
export const HAS_PARENT: u32 = 8;
export const HAS_DOMAIN: u32 = 16;

let events: u32 = 0;
let blocks: u32 = 0;

export function decodedCount(): u32 {
  return events;
}

export function clearDecoded(): void {
  events = 0;
  blocks = 0;
}

export function eventAt(i: u32): usize {
  return load<usize>(EVENTS) + <usize>i * BYTES;
}

function clear(event: usize, start: u32): void {
  v128.store(event, i64x2.splat(0));
  v128.store(event, i64x2.splat(0), 16);
  v128.store(event, i64x2.splat(0), 32);
  store<u32>(event, start, START);
}

/** A new, empty event; 0 without memory. */
export function newEvent(): usize {
  const wanted = (<usize>events + 1) * BYTES;
  if (room(EVENTS, wanted <= load<usize>(EVENTS, 4) ? wanted : wanted * 2, <usize>events * BYTES) == 0) {
    fail();
    return 0;
  }
  const event = eventAt(events++);
  clear(event, blocks);
  return event;
}

/** Takes back what an event has brought so far. */
export function emptyEvent(event: usize): void {
  blocks = load<u32>(event, START);
  clear(event, blocks);
}

/** Adds a block to the newest event. */
export function addBlock(block: u64, tokens: u64): void {
  const bytes = (<usize>blocks + 1) << 3;
  if (bytes > load<usize>(BLOCKS, 4) || bytes > load<usize>(TOKENS, 4)) {
    const wanted = max<usize>(bytes << 1, 4096);
    if (room(BLOCKS, wanted, (<usize>blocks) << 3) == 0 || room(TOKENS, wanted, (<usize>blocks) << 3) == 0) {
      fail();
      return;
    }
  }
  store<u64>(load<usize>(BLOCKS) + ((<usize>blocks) << 3), block);
  store<u64>(load<usize>(TOKENS) + ((<usize>blocks) << 3), tokens);
  blocks++;
}

export function endBlocks(event: usize): void {
  store<u32>(event, blocks - load<u32>(event, START), COUNT);
}

export function blocksOfEvent(event: usize): usize {
  return load<usize>(BLOCKS) + ((<usize>load<u32>(event, START)) << 3);
}

export function tokensOfEvent(event: usize): usize {
  return load<usize>(TOKENS) + ((<usize>load<u32>(event, START)) << 3);
}
