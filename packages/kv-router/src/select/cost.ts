import { roundedExp } from './rounded-exp.ts';
import type { SelectionFacts, Selector } from './selector.ts';

/** What a rank's cache is judged by. */
type Cached = Pick<SelectionFacts, 'overlaps' | 'weights'>;

/** Overlap of a rank in blocks, lower tiers by their weight (spec kv-router 4). */
export function effectiveOverlap(facts: Cached, rank: number): number {
  const { overlaps, weights } = facts;
  return (
    (overlaps.device[rank] ?? 0) +
    weights.hostWeight * (overlaps.host[rank] ?? 0) +
    weights.diskWeight * ((overlaps.disk[rank] ?? 0) + (overlaps.external[rank] ?? 0))
  );
}

/** Tokens that a rank need not read (spec kv-router 4). Overlaps are not negative, so rounding up halves is rounding away from zero. */
export const cachedTokens = (facts: Cached & Pick<SelectionFacts, 'blockSize'>, rank: number): number =>
  Math.round(effectiveOverlap(facts, rank) * facts.blockSize);

/** Tokens that a rank would have to read. */
export const uncachedTokens = (isl: number, cached: number): number => Math.max(0, isl - Math.min(cached, isl));

/** Blocks that a rank would carry with this prompt. */
export const decodeBlocks = (facts: SelectionFacts, rank: number): number =>
  (facts.loads.blocks[rank] ?? 0) + (facts.sequenceBlocks - (facts.depths[rank] ?? 0));

/** Least prefill load among the candidates. */
function leastPrefill(facts: SelectionFacts): number {
  let least = Infinity;
  for (let at = 0; at < facts.count; at++) {
    const tokens = facts.loads.prefillTokens[facts.candidates[at] ?? 0] ?? 0;
    if (tokens < least) least = tokens;
  }
  return least;
}

/** The parts of one rank's cost, for receipts. */
export interface CostTerms {
  readonly prefillBlocks: number;
  readonly credit: number;
  readonly decay: number;
  readonly decodeBlocks: number;
  readonly requests: number;
  readonly preference: number;
}

/**
 * The cost of spec kv-router 8, to the last bit: every operation in the order in which 1.6.1 does it, division by the
 * block size included. One flat loop over columns: it runs over every rank for every request.
 */
export const costSelector: Selector = {
  name: 'default',
  score(facts, costs) {
    const { candidates, count, blockSize, isl, sequenceBlocks, depths, preference, trackPrefill } = facts;
    const { device, host, disk, external, shared } = facts.overlaps;
    const { prefillTokens, blocks, requests } = facts.loads;
    const { overlapCredit, overlapCreditDecay, prefillLoadScale, activeRequestWeight, hostWeight, diskWeight, sharedMultiplier } = facts.weights;
    const decays = trackPrefill && overlapCreditDecay > 0;
    const least = decays ? leastPrefill(facts) : 0;
    const decodeOnly = facts.weights.role === 'decode' && !trackPrefill && overlapCredit > 0;
    for (let at = 0; at < count; at++) {
      const rank = candidates[at] ?? 0;
      const onDevice = device[rank] ?? 0;
      const onHost = hostWeight * (host[rank] ?? 0);
      const onDisk = diskWeight * ((disk[rank] ?? 0) + (external[rank] ?? 0));
      const prefill = prefillTokens[rank] ?? 0;
      let credit = 0;
      if (overlapCredit !== 0) {
        const decay = decays ? decayOf(facts, prefill, least) : 1;
        credit = overlapCredit * decay * onDevice + onHost + onDisk;
        if (shared !== undefined) credit += sharedMultiplier * (shared[rank] ?? 0);
      }
      const decode = (blocks[rank] ?? 0) + (sequenceBlocks - (depths[rank] ?? 0));
      const running = activeRequestWeight * (requests[rank] ?? 0);
      let cost: number;
      if (decodeOnly) cost = clamped(decode - credit) + running;
      else {
        // Uncached plus cached tokens: whichever of prompt and cache is longer.
        const cached = Math.round((onDevice + onHost + onDisk) * blockSize);
        const tokens = trackPrefill ? prefill + (cached > isl ? cached : isl) : 0;
        cost = prefillLoadScale * clamped(tokens / blockSize - credit) + decode + running;
      }
      costs[at] = preference === undefined ? cost : cost * (preference[rank] ?? 1);
    }
  },
};

const clamped = (value: number): number => (value > 0 ? value : 0);

/** What is left of the credit on a rank that reads more than the least loaded one. */
function decayOf(facts: SelectionFacts, prefill: number, least: number): number {
  const { blockSize, weights } = facts;
  return 1 / (1 + (weights.overlapCreditDecay * ((prefill - least) / blockSize)) / Math.max(1, Math.ceil(facts.isl / blockSize)));
}

function creditOf(facts: SelectionFacts, rank: number, decay: number): number {
  const { overlaps, weights } = facts;
  if (weights.overlapCredit === 0) return 0;
  return (
    weights.overlapCredit * decay * (overlaps.device[rank] ?? 0) +
    weights.hostWeight * (overlaps.host[rank] ?? 0) +
    weights.diskWeight * ((overlaps.disk[rank] ?? 0) + (overlaps.external[rank] ?? 0)) +
    weights.sharedMultiplier * (overlaps.shared?.[rank] ?? 0)
  );
}

/** The parts that a rank's cost was made of. Made only when somebody asks. */
export function costTerms(facts: SelectionFacts, rank: number): CostTerms {
  const cached = cachedTokens(facts, rank);
  const tokens = facts.trackPrefill ? (facts.loads.prefillTokens[rank] ?? 0) + uncachedTokens(facts.isl, cached) + cached : 0;
  const decays = facts.trackPrefill && facts.weights.overlapCreditDecay > 0;
  const decay = decays ? decayOf(facts, facts.loads.prefillTokens[rank] ?? 0, leastPrefill(facts)) : 1;
  return {
    prefillBlocks: tokens / facts.blockSize,
    credit: creditOf(facts, rank, decay),
    decay,
    decodeBlocks: decodeBlocks(facts, rank),
    requests: facts.loads.requests[rank] ?? 0,
    preference: facts.preference?.[rank] ?? 1,
  };
}

/** What preferred taints multiply a cost by: the sum of their weights, squashed (spec kv-router 8). */
export const preferenceOf = (weight: number): number => roundedExp(-Math.tanh(weight));
