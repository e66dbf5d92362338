import type { ActiveSequences, RankLoad } from '../load/active-sequences.ts';
import { grownCounts, grownFloats } from '../load/columns.ts';
import type { OverloadMonitor } from '../load/overload-monitor.ts';
import { blocksOf, type SequenceHashes } from '../load/sequence-table.ts';
import type { WorkerSet } from '../workers/worker-set.ts';
import { cachedTokens, costSelector, decodeBlocks, effectiveOverlap, uncachedTokens } from './cost.ts';
import { type Constraints, eligibleRanks, type Rules, rulesOf, writePreferences } from './eligibility.ts';
import { briefOf, type CacheTrust, type ReceiptSource, type RouteBrief, type RouteReceipt, writeReceipt } from './receipt.ts';
import type { CostWeights, SelectionFacts, Selector, TierOverlaps } from './selector.ts';
import { choose } from './softmax.ts';

/** How a scheduler decides; everything but the block size has the default of 1.6.1. */
export interface SchedulerOptions {
  readonly blockSize: number;
  readonly weights?: Partial<CostWeights>;
  readonly temperature?: number;
  readonly selector?: Selector;
  /** Whether running prompts count by their blocks; off for prefill-only workers. */
  readonly trackActiveBlocks?: boolean;
  /** Whether equal blocks of two requests count once. */
  readonly assumeKvReuse?: boolean;
  readonly trackPrefillTokens?: boolean;
  /** Uniform draws in 0 … 1, for ties, temperature and made-up hashes. */
  readonly random?: () => number;
}

/** One request to be placed. */
export interface PlaceRequest {
  /** Tokens of the prompt. */
  readonly isl: number;
  /** Hashes of its complete blocks. */
  readonly sequence: SequenceHashes;
  /** What the ranks hold of it; absent where there is no index. */
  readonly overlaps?: TierOverlaps;
  readonly constraints?: Constraints;
  /** The two members of a request's `router_config_override` that 1.6.1 heeds (spec kv-router 8). */
  readonly override?: { readonly assumeKvReuse?: boolean; readonly trackPrefillTokens?: boolean };
  /** Asks for a receipt, or for one line of it. */
  readonly explain?: 'brief' | 'receipt';
  /** Name of the request, and how well its candidates are heard: for receipts. */
  readonly id?: string;
  readonly trust?: ((rank: number) => CacheTrust) | undefined;
}

/** Where a request goes. */
export interface Placed {
  readonly rank: number;
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly cost: number;
  /** Overlap in blocks, lower tiers by their weight. */
  readonly overlapBlocks: number;
  readonly cachedTokens: number;
  /** Blocks that the rank holds on any tier. */
  readonly heldBlocks: number;
  /** The same of the rank that holds most, and its overlap. */
  readonly bestHeldBlocks: number;
  readonly bestOverlapBlocks: number;
  readonly effectivePrefillTokens: number;
  readonly potentialDecodeBlocks: number;
  /** What booking counts: the prompt's own hashes, made-up ones, or none. */
  readonly sequence: SequenceHashes;
  readonly trackPrefill: boolean;
  readonly receipt?: RouteReceipt;
  readonly brief?: RouteBrief;
}

/** What the queue must know of a request before it is placed. */
export interface Outlook {
  /** Most tokens that any eligible rank has in its cache. */
  readonly cachedTokens: number;
  /** Whether every eligible rank is busy by the given measure. Good until the next decision. */
  isBusy(measure: (prefillTokens: number, maxBatchedTokens: number) => boolean): boolean;
}

const defaultWeights: CostWeights = {
  overlapCredit: 1,
  overlapCreditDecay: 0,
  prefillLoadScale: 1,
  activeRequestWeight: 0,
  hostWeight: 0.75,
  diskWeight: 0.25,
  sharedMultiplier: 0,
  role: 'decode',
};

const noBlocks: SequenceHashes = new Uint32Array(0);

/** Decides where each request goes, from the workers that there are, what they hold and what they carry; and books it. */
export class Scheduler {
  readonly workers: WorkerSet;
  readonly sequences: ActiveSequences;
  readonly #overload: OverloadMonitor | undefined;
  readonly #options: Required<Omit<SchedulerOptions, 'weights'>> & { readonly weights: CostWeights };
  #candidates: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #depths: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #costs: Float64Array<ArrayBuffer> = new Float64Array(0);
  #preference: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** What ranks hold where there is no index: columns of zeros, as long as all others, so that no read is out of bounds. */
  #nothing: TierOverlaps = { device: noBlocks, host: noBlocks, disk: noBlocks, external: noBlocks };

  constructor(parts: { workers: WorkerSet; sequences: ActiveSequences; overload?: OverloadMonitor }, options: SchedulerOptions) {
    this.workers = parts.workers;
    this.sequences = parts.sequences;
    this.#overload = parts.overload;
    this.#options = {
      blockSize: options.blockSize,
      weights: { ...defaultWeights, ...options.weights },
      temperature: options.temperature ?? 0,
      selector: options.selector ?? costSelector,
      trackActiveBlocks: options.trackActiveBlocks ?? true,
      assumeKvReuse: options.assumeKvReuse ?? true,
      trackPrefillTokens: options.trackPrefillTokens ?? true,
      random: options.random ?? Math.random,
    };
  }

  /**
   * Chooses a rank; changes nothing.
   *
   * @throws DynamoError when nobody may take the request, see `eligibleRanks`.
   */
  place(request: PlaceRequest): Placed {
    const { selector, temperature, random } = this.#options;
    const rules = this.#rules(request.constraints);
    const facts = this.#facts(request, rules);
    selector.score(facts.facts, this.#costs);
    const choice = choose(this.#costs, facts.facts.count, { temperature, random });
    const rank = this.#candidates[choice.at] ?? 0;
    const cached = cachedTokens(facts.facts, rank);
    return {
      rank,
      workerId: this.workers.ranks.workerIdOf(rank),
      dpRank: this.workers.ranks.dpRankOf(rank),
      cost: this.#costs[choice.at] ?? 0,
      overlapBlocks: effectiveOverlap(facts.facts, rank),
      cachedTokens: cached,
      heldBlocks: heldBlocks(facts.facts.overlaps, rank),
      ...bestOf(facts.facts),
      effectivePrefillTokens: uncachedTokens(request.isl, cached),
      potentialDecodeBlocks:
        decodeBlocks(facts.facts, rank) + Math.max(0, Math.ceil(request.isl / this.#options.blockSize) - facts.facts.sequenceBlocks),
      sequence: facts.sequence,
      trackPrefill: facts.facts.trackPrefill,
      ...(request.explain === undefined
        ? {}
        : explain(request, { facts: facts.facts, costs: this.#costs, choice, rules, workers: this.workers, selector: selector.name, temperature })),
    };
  }

  /** Counts a placed request on its rank from now on. Throws when its id is taken, see `ActiveSequences.add`. */
  book(id: string, placed: Placed, expectedPrefillMs?: number): void {
    this.sequences.add({
      id,
      rank: placed.rank,
      sequence: placed.sequence,
      prefillTokens: placed.trackPrefill ? placed.effectivePrefillTokens : 0,
      ...(expectedPrefillMs === undefined ? {} : { expectedPrefillMs }),
    });
  }

  /** What a queue needs before placing. Throws what `place` would throw where nobody may take the request at all. */
  outlook(request: PlaceRequest): Outlook {
    const { blockSize, weights } = this.#options;
    this.#reach(this.workers.ranks.count);
    const candidates = this.#candidates;
    const count = eligibleRanks(this.workers, this.#rules(request.constraints), candidates);
    const known = { blockSize, weights, overlaps: request.overlaps ?? this.#nothing };
    let cached = 0;
    for (let at = 0; at < count; at++) cached = Math.max(cached, cachedTokens(known, candidates[at] ?? 0));
    const { prefillTokens } = this.sequences.columns();
    return {
      cachedTokens: Math.min(cached, request.isl),
      isBusy: (measure) => {
        for (let at = 0; at < count; at++) {
          const rank = candidates[at] ?? 0;
          if (!measure(prefillTokens[rank] ?? 0, this.workers.maxBatchedTokens(rank))) return false;
        }
        return true;
      },
    };
  }

  /** What each rank carries, and would carry with this prompt. */
  loads(request: PlaceRequest): RankLoad[] {
    const { facts, sequence } = this.#facts(request, rulesOf(), true);
    const uncached = (rank: number): number => (facts.trackPrefill ? uncachedTokens(request.isl, cachedTokens(facts, rank)) : 0);
    return this.sequences.loads(this.workers.ranks, this.workers.numbers, { sequence, uncached });
  }

  #rules(constraints: Constraints | undefined): Rules {
    const monitor = this.#overload;
    if (monitor === undefined || !monitor.enabled) return rulesOf(constraints);
    monitor.readOwn(this.sequences.columns());
    return rulesOf(constraints, (workerId) => monitor.isOverloaded(workerId));
  }

  #facts(request: PlaceRequest, rules: Rules, all = false): { facts: SelectionFacts; sequence: SequenceHashes } {
    const { constraints } = request;
    const ranks = this.workers.ranks.count;
    this.#reach(ranks);
    const count = all ? 0 : eligibleRanks(this.workers, rules, this.#candidates);
    const sequence = this.#sequence(request);
    this.sequences.match(sequence, ranks, this.#depths);
    const preferred = constraints?.preferredTaints;
    const prefers = preferred !== undefined && constraints?.pinned === undefined && Object.keys(preferred).length > 0;
    if (prefers) writePreferences(this.workers, preferred, this.#preference);
    const facts: SelectionFacts = {
      blockSize: this.#options.blockSize,
      isl: request.isl,
      sequenceBlocks: blocksOf(sequence),
      candidates: this.#candidates,
      count,
      overlaps: request.overlaps ?? this.#nothing,
      loads: this.sequences.columns(),
      depths: this.#depths,
      trackPrefill: request.override?.trackPrefillTokens ?? this.#options.trackPrefillTokens,
      weights: this.#options.weights,
      ...(prefers ? { preference: this.#preference } : {}),
    };
    return { facts, sequence };
  }

  #sequence(request: PlaceRequest): SequenceHashes {
    if (!this.#options.trackActiveBlocks) return noBlocks;
    if (request.override?.assumeKvReuse ?? this.#options.assumeKvReuse) return request.sequence;
    const { random } = this.#options;
    return request.sequence.map(() => Math.floor(random() * 2 ** 32));
  }

  #reach(ranks: number): void {
    this.sequences.reach(ranks);
    this.#candidates = grownCounts(this.#candidates, ranks);
    this.#depths = grownCounts(this.#depths, ranks);
    this.#costs = grownFloats(this.#costs, ranks);
    this.#preference = grownFloats(this.#preference, ranks);
    if (this.#nothing.device.length < ranks) {
      const none = new Uint32Array(this.#candidates.length);
      this.#nothing = { device: none, host: none, disk: none, external: none };
    }
  }
}

/** Blocks of a prompt that a rank holds, whatever a tier is worth. */
const heldBlocks = ({ device, host, disk, external }: TierOverlaps, rank: number): number =>
  (device[rank] ?? 0) + (host[rank] ?? 0) + (disk[rank] ?? 0) + (external[rank] ?? 0);

/** What the candidate with the most of a prompt has, in one pass. */
function bestOf(facts: SelectionFacts): { bestHeldBlocks: number; bestOverlapBlocks: number } {
  let bestHeldBlocks = 0;
  let bestOverlapBlocks = 0;
  for (let at = 0; at < facts.count; at++) {
    const rank = facts.candidates[at] ?? 0;
    const held = heldBlocks(facts.overlaps, rank);
    if (held > bestHeldBlocks) bestHeldBlocks = held;
    // Only who holds something can be the best.
    if (held > 0) bestOverlapBlocks = Math.max(bestOverlapBlocks, effectiveOverlap(facts, rank));
  }
  return { bestHeldBlocks, bestOverlapBlocks };
}

/** What was asked for of a decision. A receipt comes with its line. */
function explain(request: PlaceRequest, made: Omit<ReceiptSource, 'id' | 'trust'>): Pick<Placed, 'receipt' | 'brief'> {
  const source: ReceiptSource = { ...made, id: request.id ?? '', trust: request.trust };
  const brief = briefOf(source);
  return request.explain === 'brief' ? { brief } : { brief, receipt: writeReceipt(source) };
}
