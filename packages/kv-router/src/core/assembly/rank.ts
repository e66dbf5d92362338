/**
 * Ranks: records of 112 bytes by number, and scratch areas with room for all of them.
 *
 * Record: 0 bound, 4 nodes that it covers wholly or partly, 8 worker_id u64, 16 dp_rank, 24 unused,
 * 32 lookup table (block_hash -> node, position), 48, 64, 80 lower-tier tables (block_hash -> edge),
 * 96 stamps of predictions (sequence hash -> stamp).
 */
import { alloc, release, reserve } from './alloc';
import { setRankWords } from './rank-words';
import { VALUE, tableDelete, tableGet, tablePut } from './table';

const BYTES: usize = 112;
const COVERAGE: usize = 4;
const WORKER: usize = 8;
const DP: usize = 16;
const NAMES: usize = memory.data(16, 16);
export const NO_RANK: u32 = 0xffffffff;
const MOST: u32 = 65536;

let records: usize = 0;
let capacity: u32 = 0;
let count: u32 = 0;
let scratch: usize = 0;

export function rankCount(): u32 {
  return count;
}

function recordOf(rank: u32): usize {
  return records + <usize>rank * BYTES;
}

export function lookupOf(rank: u32): usize {
  return recordOf(rank) + 32;
}

/** The table of a lower tier, 1 to 3. */
export function tierTableOf(rank: u32, tier: u32): usize {
  return recordOf(rank) + 32 + ((<usize>tier) << 4);
}

export function stampsOf(rank: u32): usize {
  return recordOf(rank) + 96;
}

export function addCoverage(rank: u32, by: i32): void {
  const at = recordOf(rank) + COVERAGE;
  store<i32>(at, load<i32>(at) + by);
}

export function coverageOf(rank: u32): u32 {
  return load<u32>(recordOf(rank), COVERAGE);
}

// Scratch by number of ranks: 8 bytes each of result pairs, last hashes and walk hashes; 4 each of members and four tiers; two bitsets.

export function pairsArea(): usize {
  return scratch;
}

export function lastArea(): usize {
  return scratch + ((<usize>capacity) << 3);
}

export function membersArea(): usize {
  return scratch + ((<usize>capacity) << 4);
}

/** Dense results of a query by tier, 0 to 3: u32 by rank. */
export function tierArea(tier: u32): usize {
  return scratch + <usize>capacity * 20 + ((<usize>tier * capacity) << 2);
}

/** Last matched hash by rank, of a walk through the tiers. */
export function walkArea(): usize {
  return scratch + <usize>capacity * 36;
}

export function activeArea(): usize {
  return scratch + <usize>capacity * 44;
}

export function maskArea(): usize {
  return scratch + <usize>capacity * 44 + (<usize>capacity >> 3);
}

export function joinedArea(): usize {
  return scratch + <usize>capacity * 44 + (<usize>capacity >> 2);
}

const SCRATCH_BYTES: usize = 46;

function nameOf(workerId: u64, dpRank: u32): u64 {
  return workerId + <u64>dpRank * 0xc2b2ae3d27d4eb4f;
}

function fitRanks(wanted: u32): bool {
  if (wanted <= capacity) return true;
  let next = max<u32>(capacity, 64);
  while (next < wanted) next <<= 1;
  if (!reserve(<u64>next * (BYTES + SCRATCH_BYTES) * 2 + 65536)) return false;
  const wide = alloc(<usize>next * BYTES);
  memory.fill(wide, 0, <usize>next * BYTES);
  if (capacity) {
    memory.copy(wide, records, <usize>capacity * BYTES);
    release(records, <usize>capacity * BYTES);
    release(scratch, <usize>capacity * SCRATCH_BYTES);
  }
  records = wide;
  capacity = next;
  scratch = alloc(<usize>next * SCRATCH_BYTES);
  return true;
}

/** Makes room for ranks below `wanted`, bound or not; false when there is none. */
export function expectRanks(wanted: u32): bool {
  if (wanted > MOST || !fitRanks(wanted)) return false;
  if (wanted > count) {
    count = wanted;
    setRankWords((count + 63) >> 6);
  }
  return true;
}

/** Gives a number to (worker_id, dp_rank), in place of what had it; false when there is no room. */
export function bindRank(rank: u32, workerId: u64, dpRank: u32): bool {
  if (rank >= MOST || !expectRanks(rank + 1) || !reserve(1 << 20)) return false;
  const record = recordOf(rank);
  if (load<u32>(record)) forgetName(rank);
  store<u32>(record, 1);
  store<u64>(record, workerId, WORKER);
  store<u32>(record, dpRank, DP);
  const slot = tablePut(NAMES, nameOf(workerId, dpRank));
  store<u32>(slot, rank + 1, VALUE);
  return true;
}

function forgetName(rank: u32): void {
  const record = recordOf(rank);
  const slot = tableGet(NAMES, nameOf(load<u64>(record, WORKER), load<u32>(record, DP)));
  if (slot && load<u32>(slot, VALUE) == rank + 1) tableDelete(NAMES, slot);
}

/** Takes a number back; everything under it has been forgotten before. */
export function unbindRank(rank: u32): void {
  if (rank >= count) return;
  forgetName(rank);
  store<u32>(recordOf(rank), 0);
}

function isNamed(rank: u32, workerId: u64, dpRank: u32): bool {
  const record = recordOf(rank);
  return load<u32>(record) != 0 && load<u64>(record, WORKER) == workerId && load<u32>(record, DP) == dpRank;
}

/** The number of (worker_id, dp_rank), or `NO_RANK`. */
export function rankOf(workerId: u64, dpRank: u32): u32 {
  const slot = tableGet(NAMES, nameOf(workerId, dpRank));
  if (slot == 0) return NO_RANK;
  const rank = load<u32>(slot, VALUE) - 1;
  if (isNamed(rank, workerId, dpRank)) return rank;
  // Two names with one key: as good as never, but then each must still be found.
  for (let other: u32 = 0; other < count; other++) if (isNamed(other, workerId, dpRank)) return other;
  return NO_RANK;
}
