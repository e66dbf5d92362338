import { DynamoError } from '@dynamo/runtime';
import type { WorkerSet } from '../workers/worker-set.ts';
import type { LoadColumns } from './active-sequences.ts';

/** When a rank counts as overloaded; what is absent never trips (spec kv-router 10). */
export interface BusyThresholds {
  /** Part of the rank's KV blocks, 0 … 1. */
  readonly decodeBlocks?: number;
  /** Prompt tokens that are being read. */
  readonly prefillTokens?: number;
  /** The same as part of what the worker takes in a step. */
  readonly prefillFraction?: number;
}

/** A worker's own word on its load; what is absent was not reported. */
export interface LoadReport {
  readonly activeDecodeBlocks?: number;
  readonly activePrefillTokens?: number;
  readonly kvUsedBlocks?: number;
}

/**
 * Checks thresholds.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1.
 */
export function checkThresholds(thresholds: BusyThresholds): void {
  const { decodeBlocks, prefillTokens, prefillFraction } = thresholds;
  if (decodeBlocks !== undefined && !(decodeBlocks >= 0 && decodeBlocks <= 1)) {
    throw new DynamoError('invalid_argument', `active_decode_blocks_threshold must be between 0.0 and 1.0, got ${shown(decodeBlocks)}`);
  }
  if (prefillTokens !== undefined && !(Number.isSafeInteger(prefillTokens) && prefillTokens >= 0)) {
    throw new DynamoError('invalid_argument', `active_prefill_tokens_threshold must be a whole number, got ${prefillTokens}`);
  }
  if (prefillFraction !== undefined && !(prefillFraction >= 0 && prefillFraction < Infinity)) {
    const message = `active_prefill_tokens_threshold_frac must be a finite value greater than or equal to 0.0, got ${shown(prefillFraction)}`;
    throw new DynamoError('invalid_argument', message);
  }
}

const shown = (value: number): string =>
  value === Infinity ? 'inf' : value === -Infinity ? '-inf' : Number.isInteger(value) ? `${value}.0` : String(value);

/**
 * Which workers are over their thresholds, from what they report and from what this router has sent them.
 *
 * New thresholds count from the next report on, whoever sends it, as in 1.6.1 (spec kv-router 10).
 */
export class OverloadMonitor {
  readonly #workers: WorkerSet;
  #thresholds: BusyThresholds;
  #waiting: BusyThresholds;
  readonly #reports = new Map<number, LoadReport>();
  readonly #busy = new Set<number>();

  constructor(workers: WorkerSet, thresholds: BusyThresholds = {}) {
    checkThresholds(thresholds);
    this.#workers = workers;
    this.#thresholds = thresholds;
    this.#waiting = thresholds;
  }

  /** Whether any threshold is in force. */
  get enabled(): boolean {
    return isSet(this.#thresholds);
  }

  /** The thresholds that were set last, also when no report has brought them into force yet. */
  get thresholds(): BusyThresholds {
    return this.#waiting;
  }

  /** Changes thresholds; what is absent keeps its value. */
  setThresholds(changes: BusyThresholds): void {
    checkThresholds(changes);
    this.#waiting = { ...this.#waiting, ...changes };
  }

  /** Takes a worker's report: each signal replaces the last of its kind; then every rank is judged anew. */
  report(rank: number, report: LoadReport): void {
    this.#reports.set(rank, { ...this.#reports.get(rank), ...report });
    this.#thresholds = this.#waiting;
    for (const known of this.#workers.numbers) this.#judge(known);
  }

  /** Takes this router's own counts of prefill tokens and active blocks, in place of what the workers said of them. */
  readOwn(loads: LoadColumns): void {
    for (const rank of this.#workers.numbers) {
      const own = { activeDecodeBlocks: loads.blocks[rank] ?? 0, activePrefillTokens: loads.prefillTokens[rank] ?? 0 };
      this.#reports.set(rank, { ...this.#reports.get(rank), ...own });
      this.#judge(rank);
    }
  }

  /** Forgets a rank. */
  forget(rank: number): void {
    this.#reports.delete(rank);
    this.#busy.delete(rank);
  }

  /** Whether all ranks of the worker are overloaded. */
  isOverloaded(workerId: bigint): boolean {
    const ranks = this.#workers.get(workerId)?.ranks ?? [];
    return ranks.length > 0 && ranks.every((rank) => this.#busy.has(rank));
  }

  #judge(rank: number): void {
    if (this.#isBusy(rank)) this.#busy.add(rank);
    else this.#busy.delete(rank);
  }

  #isBusy(rank: number): boolean {
    const { activeDecodeBlocks = 0, activePrefillTokens = 0, kvUsedBlocks = 0 } = this.#reports.get(rank) ?? {};
    const { decodeBlocks, prefillTokens, prefillFraction } = this.#thresholds;
    const { totalKvBlocks, maxBatchedTokens } = this.#workers.ofRank(rank)?.config ?? {};
    if (prefillTokens !== undefined && activePrefillTokens > prefillTokens) return true;
    if (prefillFraction !== undefined && maxBatchedTokens !== undefined && activePrefillTokens > prefillFraction * maxBatchedTokens) return true;
    return decodeBlocks !== undefined && totalKvBlocks !== undefined && Math.max(activeDecodeBlocks, kvUsedBlocks) > decodeBlocks * totalKvBlocks;
  }
}

const isSet = ({ decodeBlocks, prefillTokens, prefillFraction }: BusyThresholds): boolean =>
  decodeBlocks !== undefined || prefillTokens !== undefined || prefillFraction !== undefined;
