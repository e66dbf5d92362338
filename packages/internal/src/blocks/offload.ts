import { DynamoError, type Logger } from '@dynamo/runtime';
import type { Block } from './block.ts';
import type { BlockMetrics } from './block-metrics.ts';
import { type BlockTier, inside } from './block-tier.ts';
import type { OffloadFilter } from './frequency-filter.ts';
import { moveBlock } from './tier-storage.ts';

interface Request {
  readonly hash: bigint;
  readonly priority: number;
}

/** Numbers of spec block-manager 5. */
const limits = { batch: 16, transfers: 4 } as const;

/** What an offload runs between. */
export interface OffloadParts {
  readonly from: BlockTier;
  readonly to: BlockTier;
  readonly bytes: number;
  readonly filter: OffloadFilter | undefined;
  readonly metrics: BlockMetrics;
  readonly log: Logger;
}

/**
 * Copies newly registered blocks of one tier to the next in the background: higher priority first, then as they came
 * (spec block-manager 5).
 *
 * A block that is being copied is in use on both sides, so that nobody evicts or writes it meanwhile.
 */
export class Offload {
  readonly #parts: OffloadParts;
  /** In the order in which they are served. */
  #queue: Request[] = [];
  readonly #queued = new Set<bigint>();
  #running: Promise<void> | undefined;
  #closed = false;
  #refused = 0;

  constructor(parts: OffloadParts) {
    this.#parts = parts;
  }

  offer(hash: bigint, priority: number): void {
    if (this.#closed || this.#queued.has(hash)) return;
    this.#queued.add(hash);
    let at = this.#queue.length;
    while (at > 0 && (this.#queue[at - 1] as Request).priority < priority) at--;
    this.#queue.splice(at, 0, { hash, priority });
    if (this.#queue.length > 2 * this.#parts.from.capacity) this.#forgetGone();
    this.#running ??= this.#run();
  }

  /** Resolves when everything offered so far was dealt with. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** Ends after what is being copied. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#queue = [];
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever registers has its own block back before the copy begins.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, limits.batch);
      for (const { hash } of batch) this.#queued.delete(hash);
      await this.#move(batch);
    }
    this.#running = undefined;
  }

  async #move(batch: readonly Request[]): Promise<void> {
    const jobs = batch.flatMap((request) => this.#prepare(request) ?? []);
    const { from, to, metrics } = this.#parts;
    try {
      const copied = await eachOf(jobs, limits.transfers, (job) => this.#copy(job));
      const done = jobs.filter((_, at) => copied[at] === true);
      if (done.length === 0) return;
      const targets = done.map(({ target }) => target);
      for (const kept of to.register(targets, { priority: done.map(({ priority }) => priority) })) {
        kept.release();
        metrics.offloaded(from.name, to.name);
      }
    } finally {
      for (const { source, target } of jobs) {
        target[Symbol.dispose]();
        source[Symbol.dispose]();
      }
    }
  }

  #prepare({ hash, priority }: Request): { source: Block; target: Block; priority: number } | undefined {
    const { from, to, filter, log } = this.#parts;
    if (inside(from).pool.find(hash) === undefined || inside(to).pool.find(hash) !== undefined) return undefined;
    if (filter !== undefined && !filter.shouldOffload(hash)) return undefined;
    if (inside(to).pool.available === 0) {
      if (this.#refused++ % 1_000 === 0) log.warn({ tier: to.name, refused: this.#refused }, 'every block of the tier is in use: offload skipped');
      return undefined;
    }
    const target = to.allocate(1).at(0);
    const source = from.match([hash]).at(0);
    return { source, target, priority };
  }

  async #copy({ source, target }: { source: Block; target: Block }): Promise<boolean> {
    const { from, to, bytes, metrics, log } = this.#parts;
    try {
      await moveBlock(inside(from).storage, inside(to).storage, { source: source.id, target: target.id, bytes });
      if (source.content !== undefined) target.applyTokenBlock(source.content);
      return true;
    } catch (error) {
      metrics.failed(to.name);
      log.warn({ tier: to.name, error: DynamoError.from(error).message }, 'a block could not be copied to the next tier');
      return false;
    }
  }

  /** Blocks that were evicted meanwhile need no place in the queue. */
  #forgetGone(): void {
    this.#queue = this.#queue.filter(({ hash }) => inside(this.#parts.from).pool.find(hash) !== undefined || !this.#queued.delete(hash));
  }
}

/** Does something with each, so many at once, and returns the results in order; the first failure is thrown when all have ended. */
export async function eachOf<Item, Result>(items: readonly Item[], atOnce: number, task: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      results[at] = await task(items[at] as Item);
    }
  };
  const lanes = await Promise.allSettled(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  for (const ended of lanes) if (ended.status === 'rejected') throw ended.reason;
  return results;
}
