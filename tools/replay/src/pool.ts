import { engineSettings, type MockEngineOptions } from '@dynamo/internal';
import { type PlacementName, placements } from './placement/index.ts';
import type { KvPlacementOptions } from './placement/kv-router.ts';
import type { Placement, PlacementHost } from './placement/placement.ts';
import type { SimRank } from './sim-rank.ts';
import { SimWorker } from './sim-worker.ts';

/** Workers that all do the same. */
export interface PoolOptions {
  readonly engine: MockEngineOptions;
  readonly workers: number;
  /** Data-parallel ranks of each worker. */
  readonly ranks: number;
}

/** The workers of one pool, and the way in which requests are spread over them. */
export class Pool {
  readonly workers: readonly SimWorker[];
  readonly placement: Placement;
  readonly blockSize: number;
  readonly ranks: number;

  constructor(
    options: PoolOptions,
    parts: { readonly firstId: number; readonly placement: PlacementName; readonly kv: KvPlacementOptions | undefined; readonly host: PlacementHost },
  ) {
    const { ranks, workers } = options;
    const engine = { ...options.engine, kvEvents: parts.placement === 'kv' };
    const { blockSize, blocks, maxBatchedTokens } = engineSettings(engine);
    this.ranks = ranks;
    this.blockSize = blockSize;
    this.workers = Array.from({ length: workers }, (_, index) => new SimWorker(parts.firstId + index, { first: index * ranks, ranks, engine }));
    this.placement = placements[parts.placement]({ workers, ranks, blockSize, blocks, maxBatchedTokens }, parts.host, parts.kv);
  }

  /** The worker and the rank behind a number. */
  at(number: number): { readonly worker: SimWorker; readonly rank: SimRank } {
    const worker = this.workers[Math.floor(number / this.ranks)] as SimWorker;
    return { worker, rank: worker.ranks[number % this.ranks] as SimRank };
  }
}
