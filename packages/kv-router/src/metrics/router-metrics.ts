import type { Counter, Gauge } from '@dynamo/metrics';
import type { DistributedRuntime } from '@dynamo/runtime';
import type { LoadColumns } from '../load/active-sequences.ts';
import type { IndexCounts } from '../prefix/prefix-index.ts';
import type { QueueLimit } from '../queue/admission.ts';
import type { QueueStats } from '../queue/class-queue.ts';
import type { Placed } from '../select/scheduler.ts';
import type { SourceReport } from '../sources/kv-sources.ts';
import type { WorkerSet } from '../workers/worker-set.ts';
import { type ClassFamilies, type CountedRouter, eventTypes, openFamilies, type RankFamilies, type RouterFamilies, workerType } from './families.ts';

/** What is looked at when somebody asks for the metrics. */
export interface CountedState {
  readonly workers: WorkerSet;
  readonly loads: () => LoadColumns;
  readonly index: () => IndexCounts;
  readonly queue: () => ReadonlyMap<string, Readonly<QueueStats>>;
  /** Undefined where no events are heard. */
  readonly sources: () => readonly SourceReport[] | undefined;
  readonly replicas: () => { readonly messages: number; readonly events: number; readonly refused: number };
}

/** How long the steps of one decision took, in milliseconds. */
export interface DecisionTimes {
  hashing: number;
  find: number;
  scheduling: number;
}

/** Counts one request from its placement to its end. */
export interface RequestMeter {
  /** Tokens have come. */
  output(tokens: number): void;
  /** The worker says how much of the prompt it had. */
  reused(tokens: number): void;
  end(): void;
}

const statuses = {
  ok: 'ok',
  noParent: 'parent_block_not_found',
  badSequence: 'invalid_block',
  noBlock: 'block_not_found',
  full: 'capacity_exhausted',
  unsupported: 'unsupported_residency_domain',
} as const;

/** What a router counts. Everything that is kept elsewhere is read at the scrape and costs a decision nothing. */
export class RouterMetrics implements Disposable {
  readonly #families: RouterFamilies;
  readonly #state: CountedState;
  readonly #router: CountedRouter;
  readonly #classes = new Map<string, ClassFamilies>();
  /** By rank number, with whom the number stands for. */
  readonly #ranks = new Map<number, { readonly workerId: bigint; readonly families: RankFamilies }>();
  readonly #shares = new Map<Gauge, number>();
  readonly #totals = new Map<Counter, number>();
  readonly #scrape: Disposable;

  constructor(runtime: DistributedRuntime, router: CountedRouter, state: CountedState) {
    this.#families = openFamilies(runtime, router);
    this.#router = router;
    this.#state = state;
    this.#scrape = this.#families.component.onScrape(() => this.#read());
  }

  /** A request has come to the queue. */
  received(policy: string): void {
    this.#class(policy).received.inc();
  }

  /** A request found its class full. */
  refused(policy: string, limit: QueueLimit): void {
    this.#class(policy).refused[limit].inc();
  }

  /** A request has been placed and counted. */
  begin(placed: Placed, request: { readonly isl: number; readonly blockSize: number; readonly times: DecisionTimes }): RequestMeter {
    const { overhead, ...families } = this.#families;
    const { times, isl, blockSize } = request;
    overhead.hashing.observe(times.hashing);
    overhead.find.observe(times.find);
    overhead.scheduling.observe(times.scheduling);
    overhead.total.observe(times.hashing + times.find + times.scheduling);
    families.started.inc();
    families.inputTokens.observe(isl);
    families.hitRate.observe(hitRate(placed, { isl, blockSize }));
    families.selectedTokens.inc(placed.heldBlocks * blockSize);
    families.bestTokens.inc(placed.bestHeldBlocks * blockSize);
    if (this.#router.role === 'prefill' && placed.bestOverlapBlocks > placed.overlapBlocks) {
      families.notBest.inc();
      families.blocksLost.observe(placed.bestOverlapBlocks - placed.overlapBlocks);
    }
    const rank = this.#rank(placed.rank, placed);
    rank.lastInput.set(isl);
    return meterOf(families, rank);
  }

  [Symbol.dispose](): void {
    this.#scrape[Symbol.dispose]();
    for (const gauge of this.#shares.keys()) this.#share(gauge, 0);
    for (const number of [...this.#ranks.keys()]) this.#dropRank(number);
    const { component, frontend } = this.#families;
    component.remove({ model: this.#router.model });
    frontend.remove({ model: this.#router.model, worker_type: workerType(this.#router.role) });
  }

  #class(policy: string): ClassFamilies {
    const present = this.#classes.get(policy);
    if (present !== undefined) return present;
    const made = this.#families.ofClass(policy);
    this.#classes.set(policy, made);
    return made;
  }

  #rank(number: number, { workerId, dpRank }: { workerId: bigint; dpRank: number }): RankFamilies {
    const present = this.#ranks.get(number);
    if (present?.workerId === workerId) return present.families;
    if (present !== undefined) this.#dropRank(number);
    const families = this.#families.ofRank(workerId, dpRank);
    families.registered.set(1);
    this.#ranks.set(number, { workerId, families });
    return families;
  }

  #dropRank(number: number): void {
    const gone = this.#ranks.get(number);
    if (gone === undefined) return;
    this.#ranks.delete(number);
    this.#families.component.remove({ router_worker_id: String(gone.workerId) });
    this.#families.frontend.remove({ worker_id: String(gone.workerId) });
  }

  #read(): void {
    this.#readQueue();
    this.#readWorkers();
    this.#readIndex();
    this.#readSources();
    const { messages, events, refused } = this.#state.replicas();
    this.#total(this.#families.replicaMessages, messages);
    this.#total(this.#families.replicaEvents, events);
    this.#total(this.#families.replicaUnreadable, refused);
  }

  #readQueue(): void {
    for (const [policy, stats] of this.#state.queue()) {
      const { pending } = this.#class(policy);
      pending.requests.set(stats.requests);
      pending.islTokens.set(stats.islTokens);
      pending.cachedTokens.set(stats.cachedTokens);
    }
  }

  #readWorkers(): void {
    const { workers, loads } = this.#state;
    const { blocks, prefillTokens } = loads();
    for (const number of this.#ranks.keys()) if (workers.ofRank(number) === undefined) this.#dropRank(number);
    for (const worker of workers.all()) {
      for (const number of worker.ranks) {
        const rank = this.#rank(number, { workerId: worker.id, dpRank: workers.ranks.dpRankOf(number) });
        rank.decodeBlocks.set(blocks[number] ?? 0);
        rank.prefillTokens.set(prefillTokens[number] ?? 0);
      }
    }
  }

  #readIndex(): void {
    const { index, evicted, storesRefused, malformed, applied } = this.#families;
    const counts = this.#state.index();
    index.blocks.set(counts.blocks);
    index.lowerBlocks.set(counts.lowerBlocks);
    index.bytes.set(counts.bytes);
    index.nodes.set(counts.nodes);
    this.#total(evicted, counts.evictedBlocks);
    this.#total(storesRefused, counts.refused);
    this.#total(malformed, counts.events.malformed);
    for (const type of eventTypes) {
      const byStatus = counts.byType[type];
      for (const [outcome, status] of Object.entries(statuses)) this.#total(applied(type, status), byStatus[outcome as keyof typeof statuses]);
    }
  }

  #readSources(): void {
    const reports = this.#state.sources();
    if (reports === undefined) return;
    const { sources, batches, gaps, degraded, recovering, recoveries, withoutSource } = this.#families;
    const sum = (of: (report: SourceReport) => number): number => reports.reduce((total, report) => total + of(report), 0);
    const inState = (state: SourceReport['state']): number => sum((report) => (report.state === state ? 1 : 0));
    this.#share(
      sources.preconnected,
      sum(({ cursor, state }) => (cursor === undefined && state === 'recovering' ? 1 : 0)),
    );
    this.#share(sources.active, reports.length - (this.#shares.get(sources.preconnected) ?? 0));
    degraded.set(inState('degraded'));
    recovering.set(inState('recovering'));
    this.#grow(batches, reports, ({ batches: heard }) => heard);
    this.#grow(gaps, reports, ({ gaps: missed }) => missed);
    for (const kind of ['dump', 'events', 'nothing', 'failed'] as const) this.#grow(recoveries[kind], reports, (report) => report.recoveries[kind]);
    const heard = new Set(reports.map(({ workerId }) => workerId));
    let silent = 0;
    for (const { id } of this.#state.workers.all()) if (!heard.has(id)) silent += 1;
    withoutSource.set(silent);
  }

  /** Several routers may add to one gauge. */
  #share(gauge: Gauge, value: number): void {
    gauge.inc(value - (this.#shares.get(gauge) ?? 0));
    this.#shares.set(gauge, value);
  }

  #total(counter: Counter, value: number): void {
    const told = this.#totals.get(counter) ?? 0;
    if (value > told) counter.inc(value - told);
    this.#totals.set(counter, Math.max(value, told));
  }

  /** A sum over publishers falls when one of them goes; what it had counted stays counted. */
  #grow(counter: Counter, reports: readonly SourceReport[], of: (report: SourceReport) => number): void {
    const seen = (this.#perSource.get(counter) ?? this.#perSource.set(counter, new Map()).get(counter)) as Map<bigint, number>;
    const publishers = new Set<bigint>();
    for (const report of reports) {
      publishers.add(report.publisher);
      const value = of(report);
      const more = value - (seen.get(report.publisher) ?? 0);
      if (more > 0) counter.inc(more);
      seen.set(report.publisher, value);
    }
    for (const publisher of seen.keys()) if (!publishers.has(publisher)) seen.delete(publisher);
  }

  readonly #perSource = new Map<Counter, Map<bigint, number>>();
}

/** Which part of a prompt's blocks the chosen rank holds, lower tiers by their weight. */
export function hitRate({ overlapBlocks }: Pick<Placed, 'overlapBlocks'>, { isl, blockSize }: { isl: number; blockSize: number }): number {
  return isl === 0 ? 0 : Math.min(1, overlapBlocks / Math.ceil(isl / blockSize));
}

function meterOf(families: Omit<RouterFamilies, 'overhead'>, rank: RankFamilies): RequestMeter {
  const began = performance.now();
  let first = 0;
  let last = 0;
  let tokens = 0;
  let cached = 0;
  return {
    output(more) {
      const now = performance.now();
      if (tokens === 0) {
        first = now;
        families.firstToken.observe((now - began) / 1_000);
        rank.lastFirstToken.set((now - began) / 1_000);
      } else rank.lastInterToken.set((now - last) / 1_000 / more);
      last = now;
      tokens += more;
    },
    reused(count) {
      if (count > cached) families.reusedTokens.inc(count - cached);
      cached = Math.max(cached, count);
    },
    end() {
      families.ended.inc();
      if (tokens > 0) families.outputTokens.observe(tokens);
      if (tokens > 1) families.interToken.observe((last - first) / 1_000 / (tokens - 1));
    },
  };
}
