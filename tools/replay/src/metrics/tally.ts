import type { SimRequest } from '../sim-request.ts';
import { RequestSpread, TokenSpread } from './spread.ts';
import { Timeline } from './timeline.ts';

/** Limits that a good answer keeps. */
export interface Sla {
  readonly ttftMs?: number;
  readonly itlMs?: number;
  readonly e2eMs?: number;
}

/** Series of the plots that are the same for all ranks. */
export const series = { promptTokens: 0, cachedTokens: 1, arrivals: 2, ends: 3, achievableTokens: 4 } as const;

/** Counts what a replay does, in memory that does not grow with its length. */
export class Tally {
  readonly ttft = new RequestSpread();
  readonly ttst = new RequestSpread();
  readonly tpot = new RequestSpread();
  readonly e2e = new RequestSpread();
  readonly itl = new TokenSpread();
  readonly tokenRate = new TokenSpread();
  readonly overTime = new Timeline(Object.keys(series).length);
  /** Blocks in use by rank, as sums over time. */
  readonly load: Timeline;
  readonly sla: Sla | undefined;
  requests = 0;
  completed = 0;
  rejected = 0;
  inputTokens = 0;
  outputTokens = 0;
  reusedTokens = 0;
  firstReusedTokens = 0;
  committedPrefillTokens = 0;
  preemptions = 0;
  /** End of the last completed request. */
  durationMs = 0;
  /** End of everything. */
  endMs = 0;
  good = 0;
  goodOutputTokens = 0;

  constructor(options: { readonly ranks: number; readonly sla?: Sla | undefined }) {
    this.load = new Timeline(options.ranks);
    this.sla = options.sla;
  }

  /** As many tokens came this long after the one before them. */
  gaps(ms: number, count: number): void {
    this.itl.add(ms, count);
    if (ms > 0) this.tokenRate.add(1_000 / ms, count);
  }

  arrived(atMs: number): void {
    this.requests++;
    this.overTime.add(series.arrivals, atMs, 1);
  }

  ended(request: SimRequest): void {
    const { turn, endMs } = request;
    this.endMs = Math.max(this.endMs, endMs);
    this.overTime.add(series.ends, endMs, 1);
    if (request.outcome !== 'completed') {
      this.rejected++;
      return;
    }
    this.completed++;
    this.durationMs = Math.max(this.durationMs, endMs);
    this.inputTokens += turn.input;
    this.outputTokens += request.tokens;
    this.reusedTokens += request.cachedTokens;
    this.firstReusedTokens += request.firstCachedTokens;
    if (request.tokens > 0) this.#times(request);
    if (this.sla !== undefined && isGood(request, this.sla)) {
      this.good++;
      this.goodOutputTokens += request.tokens;
    }
  }

  #times({ arrivalMs, firstTokenMs, secondTokenMs, lastTokenMs, tokens }: SimRequest): void {
    this.ttft.add(firstTokenMs - arrivalMs);
    this.e2e.add(lastTokenMs - arrivalMs);
    if (tokens < 2) return;
    this.ttst.add(secondTokenMs - firstTokenMs);
    this.tpot.add((lastTokenMs - firstTokenMs) / (tokens - 1));
  }
}

function isGood(
  { arrivalMs, firstTokenMs, lastTokenMs, tokens }: SimRequest,
  { ttftMs = Infinity, itlMs = Infinity, e2eMs = Infinity }: Sla,
): boolean {
  if (tokens === 0) return false;
  const itl = tokens < 2 ? 0 : (lastTokenMs - firstTokenMs) / (tokens - 1);
  return firstTokenMs - arrivalMs <= ttftMs && itl <= itlMs && lastTokenMs - arrivalMs <= e2eMs;
}
