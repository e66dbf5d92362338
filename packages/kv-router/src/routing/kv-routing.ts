import { randomUUID } from 'node:crypto';
import type { DistributedRuntime, Instance, Route, RoutePolicy } from '@dynamo/runtime';
import type { EndpointName, EventScope, SessionTable } from '@dynamo/runtime/internal';
import { outcome } from '../core/core.ts';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import type { ActiveSequences, RankLoad } from '../load/active-sequences.ts';
import { outputGrowth } from '../load/output-growth.ts';
import type { BusyThresholds, OverloadMonitor } from '../load/overload-monitor.ts';
import { ReplicaSync } from '../load/replica-sync.ts';
import { hitRate, RouterMetrics } from '../metrics/router-metrics.ts';
import type { KvRouterOptions, ResolvedOptions } from '../options.ts';
import { loadPolicyFile } from '../policy-file/load-policy.ts';
import type { PrefixIndexName } from '../prefix/index.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import { AdmissionQueue } from '../queue/admission.ts';
import type { RankTable } from '../ranks.ts';
import type { TokenRequest } from '../request.ts';
import type { Outlook, Placed, PlaceRequest, Scheduler } from '../select/scheduler.ts';
import type { RouteBrief } from '../select/receipt.ts';
import type { TierOverlaps } from '../select/selector.ts';
import { type KvSink, KvSources, type SourceReport } from '../sources/kv-sources.ts';
import { RouteTeller } from '../tell/route-teller.ts';
import { openTrust } from '../trust/open-trust.ts';
import type { TrustTable } from '../trust/trust-table.ts';
import { captureState } from '../warm/capture.ts';
import { findState, shareState } from '../warm/warm-start.ts';
import type { WarmState } from '../warm/warm-state.ts';
import { decodeActiveLoad } from '../wire/load.ts';
import type { RankOverlap } from '../wire/overlap-scores.ts';
import type { RecordedDecision } from '../wire/recording.ts';
import { encodeStateFrame, type RankChain, type SessionBinding } from '../wire/router-state.ts';
import { KvRecorder } from '../record/recorder.ts';
import { limitsOf, recordRouting } from '../record/record-routing.ts';
import type { RouteRecorder } from '../record/route-recorder.ts';
import type { WorkerSet } from '../workers/worker-set.ts';
import { chunkFacts } from './chunk-facts.ts';
import { type Job, priorityOf, sharedOf } from './job.ts';
import { hashRequest, readHints, type RoutedCall } from './route-request.ts';
import { routingParts } from './routing-parts.ts';
import { hearTopic } from './topics.ts';
import { WorkerWatch } from './worker-watch.ts';

/** A request that is placed and counted on its rank until it is freed. */
export interface Booking {
  readonly placed: Placed;
  /** Which part of the prompt's blocks the rank is expected to hold. */
  readonly hitRate: number;
  /** How many requests waited when this one came. */
  readonly queueDepth: number;
  /** The prompt has been read: its tokens no longer count. */
  prefillDone(): void;
  /** More tokens have come out. */
  output(tokens: number): void;
  /** The worker says how much of the prompt it had. */
  reused(tokens: number): void;
  free(): void;
}

/** A route that may come with one line on why it was taken. */
export type KvRoute = Route & {
  readonly brief?: RouteBrief;
  /** Which part of the prompt's blocks the rank is expected to hold. */
  readonly hitRate: number;
  /** How many requests waited when this one came. */
  readonly queueDepth: number;
};

/** Everything that one router knows of one endpoint, and the decisions that it makes with it. */
export class KvRouting implements AsyncDisposable {
  readonly options: ResolvedOptions;
  readonly index: PrefixIndex;
  readonly workers: WorkerSet;
  readonly overload: OverloadMonitor;
  readonly scheduler: Scheduler;
  /** Chooses for a client, and counts what it chose until the stream has ended. */
  readonly policy: RoutePolicy & { pick(...asked: Parameters<RoutePolicy['pick']>): Promise<KvRoute> };
  readonly #ranks: RankTable;
  readonly #hasher: PromptHasher;
  readonly #sequences: ActiveSequences;
  readonly #queue: AdmissionQueue<Job, Placed>;
  readonly #watch: WorkerWatch;
  readonly #sources: KvSources | undefined;
  /** Present where events are heard. */
  readonly #trust: TrustTable | undefined;
  readonly #teller: RouteTeller;
  readonly #metrics: RouterMetrics;
  readonly #runtime: DistributedRuntime;
  readonly #scope: EventScope;
  readonly #stack = new AsyncDisposableStack();
  readonly #indexName: PrefixIndexName;
  readonly #recorder: RouteRecorder | undefined;
  /** Settled once it is known with what the router begins. */
  readonly #warm = Promise.withResolvers<WarmState | undefined>();
  /** Bindings of sessions that were taken over, until the client that keeps them is there. */
  #borrowed: readonly SessionBinding[] = [];
  #sessions: SessionTable | undefined;
  #recording: AsyncDisposableStack | undefined;
  #replicas: ReplicaSync | undefined;

  private constructor(runtime: DistributedRuntime, name: EndpointName, options: KvRouterOptions, recorder?: RouteRecorder) {
    this.#runtime = runtime;
    this.#scope = { namespace: name.namespace, component: name.component, endpoint: name.endpoint };
    const clock = (): number => performance.now();
    // Who records takes each step at the time, and with the draws, that are written down for it.
    const parts = routingParts(options, recorder === undefined ? { clock } : { clock: recorder.clock, random: recorder.random, observer: recorder });
    this.#recorder = recorder;
    const { workers, overload } = parts;
    this.options = parts.options;
    this.index = parts.index;
    this.workers = workers;
    this.overload = overload;
    this.scheduler = parts.scheduler;
    this.#ranks = parts.ranks;
    this.#sequences = parts.sequences;
    this.#indexName = parts.indexName;
    this.#hasher = new PromptHasher(this.index.core);
    const { role } = this.options;
    const kind = parts.indexName;
    this.#queue = this.#stack.use(
      new AdmissionQueue<Job, Placed>({
        profile: parts.profile,
        clock,
        host: {
          outlook: (job): Outlook => this.scheduler.outlook(this.#placeRequest(job)),
          dispatch: (job) => this.#dispatch(job),
          workers: () => workers.size,
          received: (job, policy) => job.book && this.#metrics.received(policy),
          refused: (job, policy, limit) => job.book && this.#metrics.refused(policy, limit),
        },
      }),
    );
    this.#watch = this.#stack.use(new WorkerWatch(runtime, name, { workers, gone: (rank) => this.#forget(rank) }));
    this.#sources =
      kind === 'events' ? this.#stack.use(new KvSources(runtime, name, { sink: this.#sink(), clock, warm: this.#warm.promise })) : undefined;
    this.#teller = new RouteTeller(runtime, options);
    if (kind === 'events' && options.trust !== 'off')
      this.#trust = this.#stack.use(
        openTrust(runtime, name, {
          ranks: this.#ranks,
          blockSize: options.blockSize,
          clock,
          acts: options.trust !== 'watch',
          predictions: parts.predictions,
          heal: (publisher) => this.#sources?.resync(publisher),
        }),
      );
    this.#metrics = this.#stack.use(
      new RouterMetrics(
        runtime,
        { name, model: this.options.model, role },
        {
          workers,
          loads: () => this.#sequences.columns(),
          index: () => this.index.counts(),
          queue: () => this.#queue.stats(),
          sources: () => this.#sources?.reports(),
          replicas: () => ({ messages: 0, events: 0, ...this.#replicas?.heard, refused: this.#replicas?.refused ?? 0 }),
        },
      ),
    );
    // Requests whose end was never told go after their time, and what waits looks again.
    const timer = setInterval(() => {
      if (recorder === undefined) this.#sequences.expire();
      else recorder.passes(() => this.#sequences.expire());
      this.#trust?.poll(this.sources());
      this.#queue.drain();
    }, 1_000);
    timer.unref();
    this.#stack.defer(() => clearInterval(timer));
    this.policy = { pick: (request, candidates, call) => this.#pick(request as TokenRequest, candidates, call) };
  }

  /** Opens the router's side of an endpoint: workers, events and loads are followed until it is disposed. */
  static async open(runtime: DistributedRuntime, name: EndpointName, options: KvRouterOptions): Promise<KvRouting> {
    await using stack = new AsyncDisposableStack();
    const { policies, settings } = options;
    const file = policies === undefined ? settings?.policyConfig : undefined;
    const read = file === undefined ? options : { ...options, policies: await loadPolicyFile(file) };
    const { record } = options;
    const recorder = record === undefined ? undefined : recordRouting(stack.use(await KvRecorder.open(record.path, limitsOf(record))), read);
    const routing = new KvRouting(runtime, name, read, recorder);
    // Below all else: what happens while the router closes is recorded too.
    const kept = stack.move();
    routing.#recording = kept;
    try {
      await routing.#join();
      await routing.#begin(name, options);
      return routing;
    } catch (error) {
      routing.#warm.resolve(undefined);
      await routing[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Chooses a rank for a request; changes nothing. */
  async place(request: TokenRequest, call: RoutedCall, options: { explain?: 'receipt' } = {}): Promise<Placed> {
    return this.#submit(this.#job(request, call, { book: false, explain: options.explain }), call.signal);
  }

  /** Chooses a rank, waiting in the queue if need be, and counts the request on it until it is freed. */
  async book(request: TokenRequest, call: RoutedCall): Promise<Booking> {
    using tale = this.#teller.begin(call);
    const job = this.#job(request, call, { book: true, explain: this.#teller.depth });
    const placed = await this.#submit(job, call.signal);
    tale?.placed(job.id, placed);
    return this.#booking(job, placed);
  }

  /** Keeps the sessions of the client that asks this router: it gets those that were taken over, and others may ask for its own. */
  carries(sessions: SessionTable | undefined): void {
    this.#sessions = sessions;
    for (const { sessionId: session, workerId: instance, dpRank: rank, sequence, writerId: writer } of this.#borrowed)
      sessions?.heard({ session, instance, ...(rank === undefined ? {} : { rank }), sequence, writer });
    this.#borrowed = [];
  }

  /** What each rank carries, and would carry with this prompt. */
  loads(request: TokenRequest, call: RoutedCall = {}): RankLoad[] {
    return this.scheduler.loads(this.#placeRequest(this.#job(request, call, { book: false, explain: undefined })));
  }

  /** What each rank holds of a prompt, in order of workers and ranks, and how many whole blocks the prompt has. */
  overlapScores(request: TokenRequest): { readonly ranks: readonly RankOverlap[]; readonly blocks: number } {
    const { prompt } = this.#job(request, {}, { book: false, explain: undefined });
    const { device, host, disk, external } = this.#overlaps(prompt);
    const ranks = this.workers.numbers.map((rank) => ({
      workerId: this.#ranks.workerIdOf(rank),
      dpRank: this.#ranks.dpRankOf(rank),
      device: device[rank] ?? 0,
      host: host[rank] ?? 0,
      disk: (disk[rank] ?? 0) + (external[rank] ?? 0),
    }));
    const inOrder = ranks.toSorted((a, b) => (a.workerId === b.workerId ? a.dpRank - b.dpRank : a.workerId < b.workerId ? -1 : 1));
    return { ranks: inOrder, blocks: prompt.local.length };
  }

  /** When workers count as overloaded; what is absent keeps its value. The change counts from the next report of a worker on. */
  setThresholds(changes: BusyThresholds): void {
    this.overload.setThresholds(changes);
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
    await this.#stack.disposeAsync();
    await this.#recording?.disposeAsync();
  }

  async #pick(request: TokenRequest, candidates: readonly Instance[], call: RoutedCall): Promise<KvRoute> {
    this.#watch.see(candidates);
    const booking = await this.book(request, call);
    const { workerId, dpRank } = booking.placed;
    let begun = false;
    const seen = (item: unknown): void => {
      const { tokens, cachedTokens } = chunkFacts(item);
      if (cachedTokens !== undefined) booking.reused(cachedTokens);
      if (tokens === 0) return;
      if (!begun) booking.prefillDone();
      begun = true;
      booking.output(tokens);
    };
    const { brief } = booking.placed;
    const route: KvRoute = {
      instance: workerId,
      rank: dpRank,
      request: { ...request, routing: { ...request.routing, dp_rank: dpRank } },
      seen,
      done: () => booking.free(),
      hitRate: booking.hitRate,
      queueDepth: booking.queueDepth,
      ...(brief === undefined ? {} : { brief }),
    };
    call.routed?.(route);
    return route;
  }

  #job(request: TokenRequest, call: RoutedCall, options: Pick<Job, 'book' | 'explain'>): Job {
    const hints = readHints(request, call, { role: this.options.role, hasRank: (workerId, rank) => this.#watch.hasRank(workerId, rank) });
    const began = performance.now();
    const prompt = hashRequest(this.#hasher, request, { blockSize: this.options.blockSize, eagle: this.#watch.eagle, hints });
    const times = { hashing: performance.now() - began, find: 0, scheduling: 0 };
    return { id: call.id ?? randomUUID(), request, prompt, hints, times, queueDepth: this.#queue.pending.requests, ...options };
  }

  #submit(job: Job, signal: AbortSignal | undefined): Promise<Placed> {
    return this.#queue.submit(job, priorityOf(job, signal));
  }

  #placeRequest(job: Job): PlaceRequest {
    const { prompt, hints } = job;
    const began = performance.now();
    const overlaps = this.#overlaps(prompt);
    this.#trust?.adjust(overlaps, prompt);
    job.times.find = performance.now() - began;
    return {
      isl: job.request.tokenIds.length,
      sequence: new Uint32Array(prompt.sequence.buffer, prompt.sequence.byteOffset, prompt.sequence.length * 2),
      overlaps,
      ...(job.explain === undefined
        ? {}
        : { explain: job.explain, id: job.id, trust: this.#trust?.describe(job.explain === 'receipt' ? this.sources() : []) }),
      ...(hints.constraints === undefined ? {} : { constraints: hints.constraints }),
      ...(hints.override === undefined ? {} : { override: hints.override }),
    };
  }

  /** What each rank holds of a prompt, as the index has it. */
  #overlaps(prompt: PromptHashes): TierOverlaps {
    const { device, hostPinned, disk, external } = this.index.overlaps(prompt);
    return { device, host: hostPinned, disk, external };
  }

  #dispatch(job: Job): Placed {
    const recorded = job.book ? this.#recorder?.decides() : undefined;
    const request = this.#placeRequest(job);
    const began = performance.now();
    const placed = this.scheduler.place(request);
    if (job.book) {
      recorded?.(placed, request, this.#factsOf(job, request));
      this.scheduler.book(job.id, placed);
      if (this.#trust !== undefined && request.overlaps !== undefined) job.expected = this.#trust.routed(job.prompt, placed.rank, request.overlaps);
      this.index.routed(job.prompt, placed.rank);
      this.#replicas?.added(sharedOf(job, placed));
    }
    job.times.scheduling = performance.now() - began;
    return placed;
  }

  /** What a recording needs of a request beside what it was placed by. */
  #factsOf({ id, prompt, hints }: Job, { overlaps }: PlaceRequest): Pick<RecordedDecision, 'id' | 'local' | 'expectedOutputTokens' | 'adjusted'> {
    const { expectedOutputTokens } = hints;
    const lowered = this.#trust?.lowered ?? [];
    return {
      id,
      local: prompt.local,
      ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
      ...(lowered.length === 0
        ? {}
        : { adjusted: lowered.map((rank) => [this.#ranks.workerIdOf(rank), this.#ranks.dpRankOf(rank), overlaps?.device[rank] ?? 0] as const) }),
    };
  }

  #booking(job: Job, placed: Placed): Booking {
    const { settings, blockSize } = this.options;
    const { id, hints } = job;
    const isl = job.request.tokenIds.length;
    const shared = sharedOf(job, placed);
    const meter = this.#metrics.begin(placed, { isl, blockSize, times: job.times });
    const { expectedOutputTokens: expectedTokens } = hints;
    const growth = settings.trackOutputBlocks
      ? outputGrowth({ isl, blockSize, ...(expectedTokens === undefined ? {} : { expectedTokens }) }, (decay) => {
          this.#recorder?.record({ kind: 'output', id, decay });
          this.#sequences.addOutputBlock(id, decay);
        })
      : undefined;
    let freed = false;
    const told: { tokens: number; cached: number | undefined } = { tokens: 0, cached: undefined };
    return {
      placed,
      hitRate: hitRate(placed, { isl, blockSize }),
      queueDepth: job.queueDepth,
      prefillDone: () => {
        if (freed || !this.#sequences.has(id)) return;
        this.#recorder?.record({ kind: 'read', id });
        this.#sequences.prefillDone(id);
        if (job.expected !== undefined) this.#trust?.read(job.expected);
        this.#replicas?.prefillDone(shared);
        this.#queue.drain();
      },
      output: (tokens) => {
        told.tokens += tokens;
        meter.output(tokens);
        growth?.grow(tokens);
      },
      reused: (tokens) => {
        told.cached = tokens;
        meter.reused(tokens);
      },
      free: () => {
        if (freed) return;
        freed = true;
        meter.end();
        // Engines may say it with every chunk: the last word counts.
        if (told.cached !== undefined) this.#answered(job, told.cached);
        this.#recorder?.record({ kind: 'freed', id, outputTokens: told.tokens, cachedTokens: told.cached });
        this.#sequences.free(id);
        this.#replicas?.freed(shared);
        this.#queue.drain();
      },
    };
  }

  /** Holds what the engine had cached against what was expected. What a decode worker was handed by another is no prefix of its own. */
  #answered({ expected, prompt }: Job, tokens: number): void {
    if (this.#trust === undefined || expected === undefined || !this.#ranks.has(expected.rank)) return;
    if (this.workers.ofRank(expected.rank)?.config.role === 'decode') return;
    this.#trust.answered(expected, tokens, () => {
      const { device, host, disk, external } = this.#overlaps(prompt);
      const { rank } = expected;
      return (device[rank] ?? 0) + (host[rank] ?? 0) + (disk[rank] ?? 0) + (external[rank] ?? 0);
    });
  }

  /** A rank is gone: nothing of it may count, and its number may go to another. */
  #forget(rank: number): void {
    this.#sequences.freeRank(rank);
    this.overload.forget(rank);
    this.index.forget(rank);
    this.#trust?.forget(rank);
    this.#ranks.release(rank);
    this.#queue.drain();
  }

  #sink(): KvSink {
    return {
      decode: (payload) => {
        const batch = this.index.decode(payload, 'msgpack');
        return this.#recorder?.batch(batch, payload) ?? batch;
      },
      apply: (event) => {
        this.#recorder?.record({ kind: 'event', event });
        this.index.apply(event);
      },
      reset: (workerId, dpRank) => {
        this.#recorder?.record({ kind: 'reset', workerId, dpRank });
        const rank = this.#ranks.find(workerId, dpRank);
        if (rank !== undefined) this.index.clear(rank);
      },
      hasRank: (workerId, dpRank) => this.#watch.hasRank(workerId, dpRank),
    };
  }

  async #join(): Promise<void> {
    const { events, discovery } = this.#runtime;
    const hear = (topic: string, take: (payload: Uint8Array) => void): void =>
      void this.#stack.use(
        hearTopic(this.#runtime, { scope: this.#scope, topic }, (payload) => {
          this.#recorder?.record({ kind: 'heard', topic, payload });
          take(payload);
        }),
      );
    hear('kv_metrics', (payload) => this.#takeLoad(payload));
    if (!this.options.settings.replicaSync) return;
    const publisher = this.#stack.use(await events.publish(this.#scope, 'active_sequences_events'));
    const replicas = new ReplicaSync({
      routerId: discovery.instanceId,
      ranks: this.#ranks,
      sequences: this.#sequences,
      publish: (payload) => void publisher.publish(payload),
      changed: () => this.#queue.drain(),
    });
    this.#replicas = this.#stack.use(replicas);
    hear('active_sequences_events', (payload) => replicas.onEvent(payload));
  }

  /** Takes over what others know, where that is asked for; from then on others may ask. */
  async #begin(name: EndpointName, { warmStart }: KvRouterOptions): Promise<void> {
    if (warmStart === undefined) {
      this.#replicas?.takeOver([]);
      return this.#warm.resolve(undefined);
    }
    const { blockSize } = this.options;
    const takes = (frame: Parameters<typeof encodeStateFrame>[0]): void => this.#recorder?.record({ kind: 'state', frame: encodeStateFrame(frame) });
    const restore = (chain: RankChain): boolean => {
      takes({ kind: 'chains', chains: [chain] });
      return this.index.restore(chain) === outcome.ok;
    };
    const state = await findState(this.#runtime, name, { ...warmStart, blockSize, indexName: this.#indexName, restore });
    await this.#watch.ready;
    this.#warm.resolve(state);
    // Of workers that are gone nothing is taken.
    const known = ({ workerId, dpRank }: { workerId: bigint; dpRank: number }): boolean => this.#ranks.find(workerId, dpRank) !== undefined;
    const decisions = (state?.decisions ?? []).filter(known);
    takes({ kind: 'decisions', decisions });
    for (const decision of decisions) this.index.remember(decision);
    if (this.#replicas !== undefined) takes({ kind: 'requests', requests: state?.requests ?? [] });
    this.#replicas?.takeOver(state?.requests ?? []);
    this.#borrowed = state?.sessions ?? [];
    const host = {
      blockSize,
      index: this.index,
      indexName: this.#indexName,
      ranks: this.#ranks,
      sources: () => this.sources(),
      requests: () => this.#sequences.running(),
      sessions: () => bindingsOf(this.#sessions),
    };
    this.#stack.use(await shareState(this.#runtime, name, { ...warmStart, capture: () => captureState(host, Date.now()) }));
  }

  #takeLoad(payload: Uint8Array): void {
    const { workerId, dpRank, ...load } = decodeActiveLoad(payload);
    const rank = this.#ranks.find(workerId, dpRank);
    if (rank !== undefined) this.overload.report(rank, load);
  }
}

const bindingsOf = (sessions: SessionTable | undefined): SessionBinding[] =>
  Array.from(sessions?.entries() ?? [], ({ session, instance, rank, sequence, writer }) => ({
    sessionId: session,
    workerId: instance,
    ...(rank === undefined ? {} : { dpRank: rank }),
    sequence,
    writerId: writer,
  }));
