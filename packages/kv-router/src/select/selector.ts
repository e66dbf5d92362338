import type { LoadColumns } from '../load/active-sequences.ts';

/** Leading blocks of the prompt that each rank holds, one column a tier; every tier counts only blocks beyond the previous one (spec kv-router 4). */
export interface TierOverlaps {
  readonly device: Uint32Array;
  readonly host: Uint32Array;
  readonly disk: Uint32Array;
  readonly external: Uint32Array;
  /** Blocks beyond the device tier that a shared cache has for every rank. */
  readonly shared?: Uint32Array;
}

/** The numbers of spec kv-router 8 that an operator sets. */
export interface CostWeights {
  /** C: what a block on the device is worth. */
  readonly overlapCredit: number;
  /** D: how fast that falls as a rank's prefill load rises above the least loaded one's. */
  readonly overlapCreditDecay: number;
  /** P: scale of the prompt's load. */
  readonly prefillLoadScale: number;
  /** A: what each running request weighs, in blocks. */
  readonly activeRequestWeight: number;
  readonly hostWeight: number;
  readonly diskWeight: number;
  /** S: what a block in the shared cache is worth. */
  readonly sharedMultiplier: number;
  /** Which formula applies where prefill tokens are not tracked; 1.6.1 logs `decode` for aggregated workers too. */
  readonly role: 'prefill' | 'decode';
}

/** Everything that one decision is made from. Columns go by rank number, and are good until the next decision. */
export interface SelectionFacts {
  readonly blockSize: number;
  /** Tokens of the prompt. */
  readonly isl: number;
  /** Complete blocks that load tracking knows the prompt by. */
  readonly sequenceBlocks: number;
  /** The ranks to choose from: the first `count` numbers. */
  readonly candidates: Uint32Array;
  readonly count: number;
  readonly overlaps: TierOverlaps;
  readonly loads: LoadColumns;
  /** Leading blocks that are live on the rank already. */
  readonly depths: Uint32Array;
  readonly trackPrefill: boolean;
  readonly weights: CostWeights;
  /** What preferred taints multiply the cost by, by rank; absent where nothing is preferred. */
  readonly preference?: Float64Array;
}

/**
 * A way to rank workers: the lowest cost wins. One file a selector, one line in the registry, one run of
 * `selector.contract.ts`.
 */
export interface Selector {
  readonly name: string;
  /** Writes the cost of candidate i to `costs[i]`. Called for every request: it must not allocate. */
  score(facts: SelectionFacts, costs: Float64Array): void;
}
