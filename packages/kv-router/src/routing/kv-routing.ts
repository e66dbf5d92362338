import { randomUUID } from 'node:crypto';
import type { DistributedRuntime, Instance, Route, RoutePolicy } from '@dynamo/runtime';
import { batchesOf, decodeModel, type EndpointName, type EventScope, instanceKey } from '@dynamo/runtime/internal';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import { ActiveSequences, type RankLoad } from '../load/active-sequences.ts';
import { outputGrowth } from '../load/output-growth.ts';
import { OverloadMonitor } from '../load/overload-monitor.ts';
import { ReplicaSync, type SharedRequest } from '../load/replica-sync.ts';
import { type KvRouterOptions, type ResolvedOptions, resolveOptions } from '../options.ts';
import { prefixIndexes } from '../prefix/index.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import { AdmissionQueue, type Priority } from '../queue/admission.ts';
import { singleClass } from '../queue/policy-classes.ts';
import { RankTable } from '../ranks.ts';
import type { TokenRequest } from '../request.ts';
import { selectors } from '../select/index.ts';
import { type Outlook, type Placed, type PlaceRequest, Scheduler } from '../select/scheduler.ts';
import { KvSources, type SourceReport } from '../sources/kv-sources.ts';
import { decodeActiveLoad } from '../wire/load.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { hashRequest, readHints, type RoutedCall, type RoutingHints } from './route-request.ts';
import { WorkerWatch } from './worker-watch.ts';

/** One request on its way through the router. */
interface Job {
  readonly id: string;
  readonly request: TokenRequest;
  readonly prompt: PromptHashes;
  readonly hints: RoutingHints;
  readonly book: boolean;
  readonly explain: boolean;
}

/** A request that is placed and counted on its rank until it is freed. */
export interface Booking {
  readonly placed: Placed;
  /** The prompt has been read: its tokens no longer count. */
  prefillDone(): void;
  /** More tokens have come out. */
  output(tokens: number): void;
  free(): void;
}

/** Everything that one router knows of one endpoint, and the decisions that it makes with it. */
export class KvRouting implements AsyncDisposable {
  readonly options: ResolvedOptions;
  readonly index: PrefixIndex;
  readonly workers: WorkerSet;
  readonly overload: OverloadMonitor;
  readonly scheduler: Scheduler;
  /** Chooses for a client, and counts what it chose until the stream has ended. */
  readonly policy: RoutePolicy;
  readonly #ranks = new RankTable();
  readonly #hasher: PromptHasher;
  readonly #sequences: ActiveSequences;
  readonly #queue: AdmissionQueue<Job, Placed>;
  readonly #watch: WorkerWatch;
  readonly #sources: KvSources | undefined;
  readonly #runtime: DistributedRuntime;
  readonly #scope: EventScope;
  readonly #stack = new AsyncDisposableStack();
  readonly #stop = new AbortController();
  #replicas: ReplicaSync | undefined;

  private constructor(runtime: DistributedRuntime, name: EndpointName, options: KvRouterOptions) {
    this.#runtime = runtime;
    this.#scope = { namespace: name.namespace, component: name.component, endpoint: name.endpoint };
    this.options = resolveOptions(options);
    const { settings, blockSize } = this.options;
    const clock = (): number => performance.now();
    const kind = options.index ?? (settings.kvEvents ? 'events' : 'approximate');
    this.index = prefixIndexes[kind]({
      ranks: this.#ranks,
      clock,
      ttlMs: settings.ttlSeconds * 1_000,
      policy: settings.approximatePolicy,
      ...(settings.predictedTtlSeconds === undefined ? {} : { predictedTtlMs: settings.predictedTtlSeconds * 1_000 }),
    });
    this.#hasher = new PromptHasher(this.index.core);
    this.workers = new WorkerSet(this.#ranks);
    this.#sequences = new ActiveSequences({ clock, ranks: this.#ranks });
    this.overload = new OverloadMonitor(this.workers, this.options.overload);
    this.scheduler = new Scheduler(
      { workers: this.workers, sequences: this.#sequences, overload: this.overload },
      {
        blockSize,
        temperature: settings.temperature,
        trackActiveBlocks: settings.trackActiveBlocks,
        assumeKvReuse: settings.assumeKvReuse,
        trackPrefillTokens: settings.trackPrefillTokens,
        selector: typeof options.selector === 'object' ? options.selector : selectors[options.selector ?? 'default'],
        weights: {
          overlapCredit: settings.overlapCredit,
          overlapCreditDecay: settings.overlapCreditDecay,
          prefillLoadScale: settings.prefillLoadScale,
          activeRequestWeight: settings.activeRequestWeight,
          hostWeight: settings.hostCacheWeight,
          diskWeight: settings.diskCacheWeight,
          ...(settings.sharedCacheMultiplier === undefined ? {} : { sharedMultiplier: settings.sharedCacheMultiplier }),
        },
      },
    );
    this.#queue = this.#stack.use(
      new AdmissionQueue<Job, Placed>({
        profile: options.profile ?? singleClass(settings.queuePolicy, settings.queueThreshold),
        clock,
        host: {
          outlook: (job): Outlook => this.scheduler.outlook(this.#placeRequest(job)),
          dispatch: (job) => this.#dispatch(job),
          workers: () => this.workers.size,
        },
      }),
    );
    this.#watch = this.#stack.use(new WorkerWatch(runtime, name, { workers: this.workers, gone: (rank) => this.#forget(rank) }));
    this.#sources =
      kind === 'events'
        ? this.#stack.use(
            new KvSources(runtime, name, {
              sink: {
                apply: (event) => void this.index.apply(event),
                reset: (workerId, dpRank) => {
                  const rank = this.#ranks.find(workerId, dpRank);
                  if (rank !== undefined) this.index.clear(rank);
                },
              },
            }),
          )
        : undefined;
    // Requests whose end was never told go after their time, and what waits looks again.
    const timer = setInterval(() => {
      this.#sequences.expire();
      this.#queue.drain();
    }, 1_000);
    timer.unref();
    this.#stack.defer(() => clearInterval(timer));
    this.policy = { pick: (request, candidates, call) => this.#pick(request as TokenRequest, candidates, call) };
  }

  /** Opens the router's side of an endpoint: workers, events and loads are followed until it is disposed. */
  static async open(runtime: DistributedRuntime, name: EndpointName, options: KvRouterOptions): Promise<KvRouting> {
    const routing = new KvRouting(runtime, name, options);
    try {
      await routing.#join();
      return routing;
    } catch (error) {
      await routing[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Chooses a rank for a request; changes nothing. */
  async place(request: TokenRequest, call: RoutedCall, options: { explain?: boolean } = {}): Promise<Placed> {
    return this.#submit(this.#job(request, call, { book: false, explain: options.explain ?? false }), call.signal);
  }

  /** Chooses a rank, waiting in the queue if need be, and counts the request on it until it is freed. */
  async book(request: TokenRequest, call: RoutedCall, options: { explain?: boolean } = {}): Promise<Booking> {
    const job = this.#job(request, call, { book: true, explain: options.explain ?? false });
    return this.#booking(job, await this.#submit(job, call.signal));
  }

  /** What each rank carries, and would carry with this prompt. */
  loads(request: TokenRequest, call: RoutedCall = {}): RankLoad[] {
    return this.scheduler.loads(this.#placeRequest(this.#job(request, call, { book: false, explain: false })));
  }

  /** How well each publisher of cache events is heard; none without an event index. */
  sources(): SourceReport[] {
    return this.#sources?.reports() ?? [];
  }

  /** How many requests wait, and how many prompt tokens they have. */
  get pending(): { readonly requests: number; readonly islTokens: number } {
    return this.#queue.pending;
  }

  /** Resolves when every worker that discovery shows now is known, so that the first decision sees all of them. */
  ready(): Promise<void> {
    return this.#watch.ready;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#stack.disposeAsync();
  }

  async #pick(request: TokenRequest, candidates: readonly Instance[], call: RoutedCall): Promise<Route> {
    this.#watch.see(candidates);
    const booking = await this.book(request, call);
    const { workerId, dpRank } = booking.placed;
    let begun = false;
    const seen = (item: unknown): void => {
      const tokens = tokensOf(item);
      if (tokens === 0) return;
      if (!begun) booking.prefillDone();
      begun = true;
      booking.output(tokens);
    };
    return { instance: workerId, request: { ...request, routing: { ...request.routing, dp_rank: dpRank } }, seen, done: () => booking.free() };
  }

  #job(request: TokenRequest, call: RoutedCall, options: { book: boolean; explain: boolean }): Job {
    const hints = readHints(request, call);
    const prompt = hashRequest(this.#hasher, request, { blockSize: this.options.blockSize, eagle: this.#watch.eagle, hints });
    return { id: call.id ?? randomUUID(), request, prompt, hints, ...options };
  }

  #submit(job: Job, signal: AbortSignal | undefined): Promise<Placed> {
    const { hints } = job;
    const { pinned } = hints.constraints ?? {};
    const priority: Priority = {
      isl: job.request.tokenIds.length,
      ...(hints.policyClass === undefined ? {} : { policyClass: hints.policyClass }),
      ...(hints.strictPriority === undefined ? {} : { strictPriority: hints.strictPriority }),
      ...(hints.priorityJump === undefined ? {} : { priorityJump: hints.priorityJump }),
      ...(pinned === undefined ? {} : { lane: `${pinned.workerId}/${pinned.dpRank ?? ''}` }),
      ...(signal === undefined ? {} : { signal }),
    };
    return this.#queue.submit(job, priority);
  }

  #placeRequest(job: Job): PlaceRequest {
    const { prompt, hints } = job;
    const { device, hostPinned, disk, external } = this.index.overlaps(prompt);
    return {
      isl: job.request.tokenIds.length,
      sequence: new Uint32Array(prompt.sequence.buffer, prompt.sequence.byteOffset, prompt.sequence.length * 2),
      overlaps: { device, host: hostPinned, disk, external },
      explain: job.explain,
      ...(hints.constraints === undefined ? {} : { constraints: hints.constraints }),
      ...(hints.override === undefined ? {} : { override: hints.override }),
    };
  }

  #dispatch(job: Job): Placed {
    const placed = this.scheduler.place(this.#placeRequest(job));
    if (!job.book) return placed;
    this.scheduler.book(job.id, placed);
    this.index.routed(job.prompt, placed.rank);
    this.#replicas?.added(sharedOf(job, placed));
    return placed;
  }

  #booking(job: Job, placed: Placed): Booking {
    const { settings, blockSize } = this.options;
    const { id, hints } = job;
    const shared = sharedOf(job, placed);
    const growth = settings.trackOutputBlocks
      ? outputGrowth(
          {
            isl: job.request.tokenIds.length,
            blockSize,
            ...(hints.expectedOutputTokens === undefined ? {} : { expectedTokens: hints.expectedOutputTokens }),
          },
          (decay) => void this.#sequences.addOutputBlock(id, decay),
        )
      : undefined;
    let freed = false;
    return {
      placed,
      prefillDone: () => {
        if (freed || !this.#sequences.prefillDone(id)) return;
        this.#replicas?.prefillDone(shared);
        this.#queue.drain();
      },
      output: (tokens) => growth?.grow(tokens),
      free: () => {
        if (freed) return;
        freed = true;
        this.#sequences.free(id);
        this.#replicas?.freed(shared);
        this.#queue.drain();
      },
    };
  }

  /** A rank is gone: nothing of it may count, and its number may go to another. */
  #forget(rank: number): void {
    this.#sequences.freeRank(rank);
    this.overload.forget(rank);
    this.index.forget(rank);
    this.#ranks.release(rank);
    this.#queue.drain();
  }

  async #join(): Promise<void> {
    const { events, log } = this.#runtime;
    const { signal } = this.#stop;
    const hear = (topic: string, take: (payload: Uint8Array) => void): void => {
      const loop = (async (): Promise<void> => {
        for await (const batch of batchesOf(events.subscribe(this.#scope, topic, { signal }))) {
          for (const change of batch) if (change.type === 'event') attempt(() => take(change.payload), { topic, log });
        }
      })();
      const settled = loop.catch((error: unknown) =>
        signal.aborted ? undefined : log.error({ topic, error: String(error) }, 'a topic is heard no more'),
      );
      this.#stack.defer(async () => void (await settled));
    };
    hear('kv_metrics', (payload) => this.#takeLoad(payload));
    if (!this.options.settings.replicaSync) return;
    const publisher = this.#stack.use(await events.publish(this.#scope, 'active_sequences_events'));
    const replicas = new ReplicaSync({
      routerId: this.#runtime.discovery.instanceId,
      ranks: this.#ranks,
      sequences: this.#sequences,
      publish: (payload) => void publisher.publish(payload),
      changed: () => this.#queue.drain(),
    });
    this.#replicas = this.#stack.use(replicas);
    hear('active_sequences_events', (payload) => replicas.onEvent(payload));
  }

  #takeLoad(payload: Uint8Array): void {
    const { workerId, dpRank, ...load } = decodeActiveLoad(payload);
    const rank = this.#ranks.find(workerId, dpRank);
    if (rank !== undefined) this.overload.report(rank, load);
  }
}

const sharedOf = (job: Job, placed: Placed): SharedRequest => ({
  id: job.id,
  workerId: placed.workerId,
  dpRank: placed.dpRank,
  sequence: placed.sequence,
  trackPrefill: placed.trackPrefill,
  prefillTokens: placed.effectivePrefillTokens,
  ...(job.hints.expectedOutputTokens === undefined ? {} : { expectedOutputTokens: job.hints.expectedOutputTokens }),
  ...(job.hints.loraName === undefined ? {} : { loraName: job.hints.loraName }),
});

/** How many tokens an item brings, whether it was read straight from the wire or not. */
function tokensOf(item: unknown): number {
  const { tokenIds, token_ids: raw } = item as { tokenIds?: readonly number[]; token_ids?: readonly number[] };
  return (tokenIds ?? raw)?.length ?? 0;
}

function attempt(take: () => void, context: { topic: string; log: DistributedRuntime['log'] }): void {
  try {
    take();
  } catch (error) {
    context.log.warn({ topic: context.topic, error: String(error) }, 'an event is unreadable: dropped');
  }
}
