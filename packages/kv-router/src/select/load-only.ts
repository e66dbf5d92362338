import type { SelectionFacts, Selector } from './selector.ts';

/**
 * Chooses by load alone: what `--load-aware` asks for, and the step below an index that can't be trusted.
 *
 * Overlaps are never read, so a rank whose cache is unknown is neither preferred nor shunned.
 */
export const loadOnly: Selector = {
  name: 'load-only',
  score(facts, costs) {
    for (let at = 0; at < facts.count; at++) costs[at] = loadOf(facts, facts.candidates[at] ?? 0);
  },
};

function loadOf(facts: SelectionFacts, rank: number): number {
  const { loads, weights } = facts;
  const tokens = facts.trackPrefill ? (loads.prefillTokens[rank] ?? 0) + facts.isl : 0;
  const decode = (loads.blocks[rank] ?? 0) + (facts.sequenceBlocks - (facts.depths[rank] ?? 0));
  const cost = weights.prefillLoadScale * (tokens / facts.blockSize) + decode + weights.activeRequestWeight * (loads.requests[rank] ?? 0);
  return facts.preference === undefined ? cost : cost * (facts.preference[rank] ?? 1);
}
