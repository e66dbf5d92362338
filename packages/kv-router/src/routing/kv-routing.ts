import type { DistributedRuntime, Instance, RoutePolicy } from '@dynamo/runtime';
import type { EndpointName, EventScope, SessionTable } from '@dynamo/runtime/internal';
import type { RankLoad } from '../load/active-sequences.ts';
import type { BusyThresholds, OverloadMonitor } from '../load/overload-monitor.ts';
import { ReplicaSync } from '../load/replica-sync.ts';
import { RouterMetrics } from '../metrics/router-metrics.ts';
import type { KvRouterOptions, ResolvedOptions } from '../options.ts';
import { loadPolicyFile } from '../policy-file/load-policy.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import { KvRecorder } from '../record/recorder.ts';
import { limitsOf, recordRouting } from '../record/record-routing.ts';
import type { RouteRecorder } from '../record/route-recorder.ts';
import type { TokenRequest } from '../request.ts';
import type { Placed, Scheduler } from '../select/scheduler.ts';
import { KvSources, type SourceReport } from '../sources/kv-sources.ts';
import { RouteTeller } from '../tell/route-teller.ts';
import { openTrust } from '../trust/open-trust.ts';
import type { TrustTable } from '../trust/trust-table.ts';
import type { WarmState } from '../warm/warm-state.ts';
import { decodeActiveLoad } from '../wire/load.ts';
import type { RankOverlap } from '../wire/overlap-scores.ts';
import type { SessionBinding } from '../wire/router-state.ts';
import type { WorkerSet } from '../workers/worker-set.ts';
import { type Booking, openBooking } from './booking.ts';
import type { Desk } from './desk.ts';
import { eventSink } from './event-sink.ts';
import { type KvRoute, routeOf } from './kv-route.ts';
import { Placement } from './placement.ts';
import type { RoutedCall } from './route-request.ts';
import { routingParts, type RoutingParts } from './routing-parts.ts';
import { takeOverState } from './start-state.ts';
import { rankOverlaps } from './tier-overlaps.ts';
import { hearTopic } from './topics.ts';
import { WorkerWatch } from './worker-watch.ts';

/** Everything that one router knows of one endpoint, and the decisions that it makes with it. */
export class KvRouting implements AsyncDisposable {
  /** Chooses for a client, and counts what it chose until the stream has ended. */
  readonly policy: RoutePolicy & { pick(...asked: Parameters<RoutePolicy['pick']>): Promise<KvRoute> };
  readonly #parts: RoutingParts;
  readonly #desk: Desk;
  readonly #placement: Placement;
  readonly #watch: WorkerWatch;
  readonly #sources: KvSources | undefined;
  /** Present where events are heard. */
  readonly #trust: TrustTable | undefined;
  readonly #teller: RouteTeller;
  readonly #metrics: RouterMetrics;
  readonly #runtime: DistributedRuntime;
  readonly #scope: EventScope;
  readonly #stack = new AsyncDisposableStack();
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
    this.#parts = parts;
    this.#recorder = recorder;
    this.#desk = {
      parts,
      recorder,
      trust: () => this.#trust,
      replicas: () => this.#replicas,
      metrics: () => this.#metrics,
      watch: () => this.#watch,
      sources: () => this.sources(),
    };
    const { workers, ranks, sequences, indexName: kind } = parts;
    this.#placement = this.#stack.use(new Placement(this.#desk, clock));
    this.#watch = this.#stack.use(new WorkerWatch(runtime, name, { workers, gone: (rank) => this.#forget(rank) }));
    this.#sources =
      kind === 'events' ? this.#stack.use(new KvSources(runtime, name, { sink: eventSink(this.#desk), clock, warm: this.#warm.promise })) : undefined;
    this.#teller = new RouteTeller(runtime, options);
    if (kind === 'events' && options.trust !== 'off')
      this.#trust = this.#stack.use(
        openTrust(runtime, name, {
          ranks,
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
        { name, model: parts.options.model, role: parts.options.role },
        {
          workers,
          loads: () => sequences.columns(),
          index: () => parts.index.counts(),
          queue: () => this.#placement.queue.stats(),
          sources: () => this.#sources?.reports(),
          replicas: () => ({ messages: 0, events: 0, ...this.#replicas?.heard, refused: this.#replicas?.refused ?? 0 }),
        },
      ),
    );
    // Requests whose end was never told go after their time, and what waits looks again.
    const timer = setInterval(() => {
      if (recorder === undefined) sequences.expire();
      else recorder.passes(() => sequences.expire());
      this.#trust?.poll(this.sources());
      this.#placement.queue.drain();
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

  get options(): ResolvedOptions {
    return this.#parts.options;
  }

  get index(): PrefixIndex {
    return this.#parts.index;
  }

  get workers(): WorkerSet {
    return this.#parts.workers;
  }

  get overload(): OverloadMonitor {
    return this.#parts.overload;
  }

  get scheduler(): Scheduler {
    return this.#parts.scheduler;
  }

  /** Chooses a rank for a request; changes nothing. */
  async place(request: TokenRequest, call: RoutedCall, options: { explain?: 'receipt' } = {}): Promise<Placed> {
    return this.#placement.submit(this.#placement.job(request, call, { book: false, explain: options.explain }), call.signal);
  }

  /** Chooses a rank, waiting in the queue if need be, and counts the request on it until it is freed. */
  async book(request: TokenRequest, call: RoutedCall): Promise<Booking> {
    using tale = this.#teller.begin(call);
    const job = this.#placement.job(request, call, { book: true, explain: this.#teller.depth });
    const placed = await this.#placement.submit(job, call.signal);
    tale?.placed(job.id, placed);
    return openBooking(this.#desk, this.#placement.queue, { job, placed });
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
    return this.scheduler.loads(this.#placement.request(this.#placement.job(request, call, { book: false, explain: undefined })));
  }

  /** What each rank holds of a prompt, in order of workers and ranks, and how many whole blocks the prompt has. */
  overlapScores(request: TokenRequest): { readonly ranks: readonly RankOverlap[]; readonly blocks: number } {
    const { prompt } = this.#placement.job(request, {}, { book: false, explain: undefined });
    return { ranks: rankOverlaps(this.#parts, prompt), blocks: prompt.local.length };
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
    return this.#placement.queue.pending;
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
    const route = routeOf(booking, request);
    call.routed?.(route);
    return route;
  }

  /** A rank is gone: nothing of it may count, and its number may go to another. */
  #forget(rank: number): void {
    const { sequences, ranks } = this.#parts;
    sequences.freeRank(rank);
    this.overload.forget(rank);
    this.index.forget(rank);
    this.#trust?.forget(rank);
    ranks.release(rank);
    this.#placement.queue.drain();
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
      ranks: this.#parts.ranks,
      sequences: this.#parts.sequences,
      publish: (payload) => void publisher.publish(payload),
      changed: () => this.#placement.queue.drain(),
    });
    this.#replicas = this.#stack.use(replicas);
    hear('active_sequences_events', (payload) => replicas.onEvent(payload));
  }

  /** Takes over what others know, where that is asked for; from then on others may ask. */
  async #begin(name: EndpointName, { warmStart }: KvRouterOptions): Promise<void> {
    const shared = await takeOverState(this.#desk, name, {
      runtime: this.#runtime,
      warmStart,
      settled: (state) => this.#warm.resolve(state),
      borrow: (sessions) => (this.#borrowed = sessions),
      sessions: () => this.#sessions,
    });
    if (shared !== undefined) this.#stack.use(shared);
  }

  #takeLoad(payload: Uint8Array): void {
    const { workerId, dpRank, ...load } = decodeActiveLoad(payload);
    const rank = this.#parts.ranks.find(workerId, dpRank);
    if (rank !== undefined) this.overload.report(rank, load);
  }
}
