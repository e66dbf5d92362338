import type { MockEngineOptions } from '@dynamo/internal';
import type { HandOff } from './hand-off.ts';
import { SimRank } from './sim-rank.ts';

/** One simulated worker. Its data-parallel ranks run their passes together: each lasts as long as the slowest of them. */
export class SimWorker {
  /** Over all pools: which of two workers comes first at the same time. */
  readonly id: number;
  readonly ranks: readonly SimRank[];
  /** When the pass that runs ends; NaN while none runs. */
  endMs = NaN;
  /** When the one before ended. */
  lastEndMs = -1;
  /** Prompts that are to be fetched, in order; those that have arrived while a pass ran; and those that others have fetched from here. */
  readonly toReserve: HandOff[] = [];
  arrived: HandOff[] = [];
  fetched: HandOff[] = [];
  /** Whether it stands in the list of workers that may begin a pass. */
  isListed = false;

  constructor(id: number, parts: { readonly first: number; readonly ranks: number; readonly engine: MockEngineOptions }) {
    this.id = id;
    this.ranks = Array.from({ length: parts.ranks }, (_, dpRank) => new SimRank(parts.first + dpRank, parts.engine));
  }

  get isRunning(): boolean {
    return !Number.isNaN(this.endMs);
  }

  get isIdle(): boolean {
    return this.ranks.every(({ engine }) => engine.idle);
  }

  /** Runs a pass on every rank that has something to do; false when none of them could do anything, and no time would pass. */
  begin(nowMs: number): boolean {
    let endMs = nowMs;
    let hasEffect = false;
    for (const rank of this.ranks) {
      if (rank.engine.idle) continue;
      const pass = rank.engine.step(nowMs);
      rank.pass = pass;
      rank.blocksInUse = rank.engine.load.activeBlocks;
      endMs = Math.max(endMs, pass.endMs);
      hasEffect ||= pass.computedTokens > 0 || pass.emitted.length + pass.completed.length + pass.rejected.length > 0;
    }
    if (!hasEffect && endMs === nowMs) {
      for (const rank of this.ranks) rank.pass = undefined;
      return false;
    }
    this.endMs = endMs;
    return true;
  }

  /** The pass has ended. */
  end(): void {
    this.lastEndMs = this.endMs;
    this.endMs = NaN;
    for (const rank of this.ranks) rank.pass = undefined;
  }
}
