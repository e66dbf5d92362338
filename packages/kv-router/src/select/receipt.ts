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
}

/** Why a request went where it went. */
export interface RouteReceipt {
  readonly selector: string;
  readonly isl: number;
  readonly temperature: number;
  readonly candidates: readonly ReceiptCandidate[];
  readonly winner: { readonly workerId: bigint; readonly dpRank: number; readonly cost: number };
  /** How many candidates shared the lowest cost; the winner was drawn among them. */
  readonly ties: number;
  /** The rank with the most overlap, where it isn't the winner, and what stood against it. */
  readonly bestOverlap?: { readonly workerId: bigint; readonly dpRank: number; readonly reason: Eligibility | 'load' | 'tie' | 'temperature' };
}

/** What a receipt is written from; good until the next decision. */
export interface ReceiptSource {
  readonly facts: SelectionFacts;
  readonly costs: Float64Array;
  readonly choice: Choice;
  readonly rules: Rules;
  readonly workers: WorkerSet;
  readonly selector: string;
  readonly temperature: number;
}

/** Writes down a decision that has just been made. Reads columns that the next decision overwrites, so it is called at once or not at all. */
export function writeReceipt(source: ReceiptSource): RouteReceipt {
  const { facts, workers, costs, choice } = source;
  const candidates = workers.numbers.map((rank) => candidate(source, rank));
  const rank = facts.candidates[choice.at] ?? 0;
  const winner = { workerId: workers.ranks.workerIdOf(rank), dpRank: workers.ranks.dpRankOf(rank), cost: costs[choice.at] ?? 0 };
  const best = candidates.reduce<ReceiptCandidate | undefined>(
    (most, next) => (next.overlap.effective > (most?.overlap.effective ?? 0) ? next : most),
    undefined,
  );
  const winnersOverlap = candidates.find((entry) => entry.workerId === winner.workerId && entry.dpRank === winner.dpRank)?.overlap.effective ?? 0;
  return {
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

function candidate(source: ReceiptSource, rank: number): ReceiptCandidate {
  const { facts, workers, costs, rules } = source;
  const { overlaps, loads } = facts;
  const workerId = workers.ranks.workerIdOf(rank);
  const dpRank = workers.ranks.dpRankOf(rank);
  const at = facts.candidates.subarray(0, facts.count).indexOf(rank);
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
    ...(at < 0 ? {} : { cost: costs[at] ?? 0, terms: costTerms(facts, rank) }),
  };
}

function whyNot(best: ReceiptCandidate, winningCost: number): Eligibility | 'load' | 'tie' | 'temperature' {
  if (best.cost === undefined) return best.eligibility;
  if (best.cost === winningCost) return 'tie';
  return best.cost < winningCost ? 'temperature' : 'load';
}
