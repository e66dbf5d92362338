import type { WorkerSet } from '../workers/worker-set.ts';
import { cachedTokens, type CostTerms, costTerms, effectiveOverlap } from './cost.ts';
import { type Eligibility, eligibility, type Rules } from './eligibility.ts';
import type { SelectionFacts } from './selector.ts';
import type { Choice } from './softmax.ts';

/** One rank as it stood when the decision was made. */
export interface ReceiptCandidate {
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly eligibility: Eligibility;
  /** Blocks by tier, each beyond the previous one. */
  readonly overlap: { readonly device: number; readonly host: number; readonly disk: number; readonly external: number; readonly effective: number };
  readonly cachedTokens: number;
  readonly load: { readonly prefillTokens: number; readonly blocks: number; readonly requests: number };
  /** Absent for ranks that could not be chosen. */
  readonly cost?: number;
  readonly terms?: CostTerms;
  /** How fresh what is known of its cache is, and what is made of it. Absent where no events are heard: with another index than `events`. */
  readonly events?: {
    readonly state: 'live' | 'lagging' | 'gapped' | 'silent' | 'untrusted';
    /** Whether its own events count, this router's decisions in their place, or its load alone. */
    readonly level: 'exact' | 'approximate' | 'load';
    /** Number of its newest event here; absent for a rank of which no publisher is known. */
    readonly cursor?: number;
    /** How often events were missing. */
    readonly gaps?: number;
    /** Since its last message; absent before the first. */
    readonly heardMsAgo?: number;
  };
}

/** How one rank's events stand. */
export type CacheTrust = NonNullable<ReceiptCandidate['events']>;

/** Why a request went where it went. */
export interface RouteReceipt {
  /** The request's id. */
  readonly id: string;
  /** What decided: a pin, the only candidate, an even draw among equal costs, a draw by temperature, the most overlap, or the least load. */
  readonly why: 'pinned' | 'only' | 'tie' | 'temperature' | 'overlap' | 'load';
  readonly selector: string;
  readonly isl: number;
  readonly temperature: number;
  readonly candidates: readonly ReceiptCandidate[];
  readonly winner: { readonly workerId: bigint; readonly dpRank: number; readonly cost: number };
  /** How many candidates shared the lowest cost; without temperature the winner was drawn among them, each with the same chance. */
  readonly ties: number;
  /** The rank with the most overlap, where it isn't the winner, and what stood against it. */
  readonly bestOverlap?: { readonly workerId: bigint; readonly dpRank: number; readonly reason: Eligibility | 'load' | 'tie' | 'temperature' };
}

/** What decided. */
export type RouteReason = RouteReceipt['why'];

/** What a receipt is written from; good until the next decision. */
export interface ReceiptSource {
  readonly facts: SelectionFacts;
  readonly costs: Float64Array;
  readonly choice: Choice;
  readonly rules: Rules;
  readonly workers: WorkerSet;
  readonly selector: string;
  readonly temperature: number;
  readonly id: string;
  readonly trust?: ((rank: number) => CacheTrust) | undefined;
}

/** A decision in one line: what headers, log lines and spans say of it. */
export interface RouteBrief {
  readonly workerId: bigint;
  readonly dpRank: number;
  /** Blocks that the winner holds, lower tiers by their weight, of the complete ones of the prompt. */
  readonly overlap: number;
  readonly blocks: number;
  readonly cost: number;
  readonly why: RouteReason;
  readonly candidates: number;
  readonly ties: number;
  readonly events?: CacheTrust;
}

/** Sums a decision up that has just been made, without a look at each candidate's terms. */
export function briefOf(source: ReceiptSource): RouteBrief {
  const { facts, workers, costs, choice, trust } = source;
  const rank = facts.candidates[choice.at] ?? 0;
  return {
    workerId: workers.ranks.workerIdOf(rank),
    dpRank: workers.ranks.dpRankOf(rank),
    overlap: effectiveOverlap(facts, rank),
    blocks: Math.floor(facts.isl / facts.blockSize),
    cost: costs[choice.at] ?? 0,
    why: reasonOf(source),
    candidates: facts.count,
    ties: choice.ties,
    ...(trust === undefined ? {} : { events: trust(rank) }),
  };
}

function reasonOf({ facts, costs, choice, rules }: ReceiptSource): RouteReason {
  if (rules.pinned !== undefined) return 'pinned';
  if (facts.count === 1) return 'only';
  const cost = costs[choice.at] ?? 0;
  const overlap = effectiveOverlap(facts, facts.candidates[choice.at] ?? 0);
  let most = overlap > 0;
  for (let at = 0; at < facts.count; at++) {
    if ((costs[at] ?? 0) < cost) return 'temperature';
    if (at !== choice.at && effectiveOverlap(facts, facts.candidates[at] ?? 0) >= overlap) most = false;
  }
  return choice.ties > 1 ? 'tie' : most ? 'overlap' : 'load';
}

/** Writes down a decision that has just been made. Reads columns that the next decision overwrites, so it is called at once or not at all. */
export function writeReceipt(source: ReceiptSource): RouteReceipt {
  const { facts, workers, costs, choice } = source;
  const places = new Map<number, number>();
  for (let at = 0; at < facts.count; at++) places.set(facts.candidates[at] ?? 0, at);
  const candidates = workers.numbers.map((number) => candidate(source, number, places.get(number)));
  const rank = facts.candidates[choice.at] ?? 0;
  const winner = { workerId: workers.ranks.workerIdOf(rank), dpRank: workers.ranks.dpRankOf(rank), cost: costs[choice.at] ?? 0 };
  const best = candidates.reduce<ReceiptCandidate | undefined>(
    (most, next) => (next.overlap.effective > (most?.overlap.effective ?? 0) ? next : most),
    undefined,
  );
  const winnersOverlap = candidates.find((entry) => entry.workerId === winner.workerId && entry.dpRank === winner.dpRank)?.overlap.effective ?? 0;
  return {
    id: source.id,
    why: reasonOf(source),
    selector: source.selector,
    isl: facts.isl,
    temperature: source.temperature,
    candidates,
    winner,
    ties: choice.ties,
    ...(best !== undefined && best.overlap.effective > winnersOverlap
      ? { bestOverlap: { workerId: best.workerId, dpRank: best.dpRank, reason: whyNot(best, winner.cost) } }
      : {}),
  };
}

function candidate(source: ReceiptSource, rank: number, at: number | undefined): ReceiptCandidate {
  const { facts, workers, costs, rules, trust } = source;
  const { overlaps, loads } = facts;
  const workerId = workers.ranks.workerIdOf(rank);
  const dpRank = workers.ranks.dpRankOf(rank);
  const worker = workers.ofRank(rank);
  return {
    workerId,
    dpRank,
    eligibility: worker === undefined ? 'unavailable' : eligibility(worker, dpRank, rules),
    overlap: {
      device: overlaps.device[rank] ?? 0,
      host: overlaps.host[rank] ?? 0,
      disk: overlaps.disk[rank] ?? 0,
      external: overlaps.external[rank] ?? 0,
      effective: effectiveOverlap(facts, rank),
    },
    cachedTokens: cachedTokens(facts, rank),
    load: { prefillTokens: loads.prefillTokens[rank] ?? 0, blocks: loads.blocks[rank] ?? 0, requests: loads.requests[rank] ?? 0 },
    ...(at === undefined ? {} : { cost: costs[at] ?? 0, terms: costTerms(facts, rank) }),
    ...(trust === undefined ? {} : { events: trust(rank) }),
  };
}

function whyNot(best: ReceiptCandidate, winningCost: number): Eligibility | 'load' | 'tie' | 'temperature' {
  if (best.cost === undefined) return best.eligibility;
  if (best.cost === winningCost) return 'tie';
  return best.cost < winningCost ? 'temperature' : 'load';
}
