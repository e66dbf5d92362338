import type { DistributedRuntime, InstanceId } from '@dynamo/runtime';
import { batchesOf, type EndpointName } from '@dynamo/runtime/internal';
import { type BusyThresholds, OverloadMonitor } from '../load/overload-monitor.ts';
import { RankTable } from '../ranks.ts';
import { decodeActiveLoad } from '../wire/load.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { WorkerWatch } from './worker-watch.ts';

/**
 * Which workers of an endpoint are overloaded by their own word, for those who choose workers in another way than by their
 * cache (spec kv-router 10).
 */
export class OverloadWatch implements AsyncDisposable {
  readonly #ranks = new RankTable();
  readonly #workers = new WorkerSet(this.#ranks);
  readonly #monitor: OverloadMonitor;
  readonly #watch: WorkerWatch;
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;

  constructor(runtime: DistributedRuntime, name: EndpointName, thresholds: BusyThresholds) {
    this.#monitor = new OverloadMonitor(this.#workers, thresholds);
    this.#watch = new WorkerWatch(runtime, name, { workers: this.#workers, gone: (rank) => this.#forget(rank) });
    this.#loop = this.#follow(runtime, name).catch((error: unknown) => {
      if (!this.#stop.signal.aborted) runtime.log.error({ error: String(error) }, "the workers' loads are heard no more");
    });
  }

  /** Changes thresholds; they count from the next report on. */
  setThresholds(changes: BusyThresholds): void {
    this.#monitor.setThresholds(changes);
  }

  isOverloaded(id: InstanceId): boolean {
    return this.#monitor.isOverloaded(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.all([this.#loop, this.#watch[Symbol.asyncDispose]()]);
  }

  #forget(rank: number): void {
    this.#monitor.forget(rank);
    this.#ranks.release(rank);
  }

  async #follow({ events, log }: DistributedRuntime, { namespace, component, endpoint }: EndpointName): Promise<void> {
    const { signal } = this.#stop;
    for await (const batch of batchesOf(events.subscribe({ namespace, component, endpoint }, 'kv_metrics', { signal }))) {
      for (const change of batch) {
        if (change.type !== 'event') continue;
        try {
          this.#take(change.payload);
        } catch (error) {
          log.warn({ error: String(error) }, 'a load report is unreadable: dropped');
        }
      }
    }
  }

  #take(payload: Uint8Array): void {
    const { workerId, dpRank, ...load } = decodeActiveLoad(payload);
    const rank = this.#ranks.find(workerId, dpRank);
    if (rank !== undefined) this.#monitor.report(rank, load);
  }
}
