import { grownFloats } from './columns.ts';

/** One prompt that is being read. */
export interface PrefillShare {
  /** Tokens that are counted until the first token of the answer. */
  readonly tokens: number;
  /** How long the prefill is expected to take, where a model of the engine says so. */
  readonly expectedMs?: number;
}

/**
 * Prompt tokens that each rank still has to read.
 *
 * Where durations are predicted, the oldest prompt of a rank shrinks linearly over its own, from when it became the
 * oldest (spec kv-router 7, load model "ais"); all others count whole.
 */
export class PrefillTracker {
  #whole: Float64Array<ArrayBuffer> = new Float64Array(0);
  #tokens: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** Ranks with predicted durations: their prompts in order of arrival. */
  readonly #lines = new Map<number, { since: number; readonly shares: PrefillShare[] }>();

  /** Tokens by rank as of the last `refresh`. A new array may take its place when ranks are added. */
  get tokens(): Float64Array {
    return this.#tokens;
  }

  /** Makes room for the ranks below `count`. */
  reach(count: number): void {
    this.#whole = grownFloats(this.#whole, count);
    this.#tokens = grownFloats(this.#tokens, count);
  }

  /** Counts a prompt on a rank. */
  add(share: PrefillShare, rank: number, now: number): void {
    if (share.tokens === 0) return;
    this.reach(rank + 1);
    this.#whole[rank] = (this.#whole[rank] ?? 0) + share.tokens;
    const line = this.#lines.get(rank);
    if (line !== undefined) line.shares.push(share);
    else if (share.expectedMs !== undefined) this.#lines.set(rank, { since: now, shares: [share] });
    this.#read(rank, now);
  }

  /** Takes a prompt out. */
  remove(share: PrefillShare, rank: number, now: number): void {
    if (share.tokens === 0) return;
    this.#whole[rank] = (this.#whole[rank] ?? 0) - share.tokens;
    const line = this.#lines.get(rank);
    const at = line?.shares.indexOf(share) ?? -1;
    if (line !== undefined && at >= 0) {
      line.shares.splice(at, 1);
      if (at === 0) line.since = now;
      if (line.shares.length === 0) this.#lines.delete(rank);
    }
    this.#read(rank, now);
  }

  /** Brings what shrinks with time up to date; free where no durations are predicted. */
  refresh(now: number): void {
    for (const rank of this.#lines.keys()) this.#read(rank, now);
  }

  #read(rank: number, now: number): void {
    const whole = this.#whole[rank] ?? 0;
    const line = this.#lines.get(rank);
    const oldest = line?.shares[0];
    if (line === undefined || oldest?.expectedMs === undefined) {
      this.#tokens[rank] = whole;
      return;
    }
    const left = oldest.expectedMs > 0 ? Math.max(0, 1 - (now - line.since) / oldest.expectedMs) : 0;
    this.#tokens[rank] = whole - oldest.tokens + Math.ceil(oldest.tokens * left);
  }
}
