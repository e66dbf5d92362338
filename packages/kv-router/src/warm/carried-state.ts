import type { DistributedRuntime } from '@dynamo/runtime';
import type { EndpointName, SessionTable } from '@dynamo/runtime/internal';
import { outcome } from '../core/core.ts';
import type { ReplicaSync } from '../load/replica-sync.ts';
import type { KvRouterOptions } from '../options.ts';
import type { RouteRecorder } from '../record/route-recorder.ts';
import type { RoutingParts } from '../routing/routing-parts.ts';
import type { SourceReport } from '../sources/kv-sources.ts';
import { encodeStateFrame, type RankChain, type SessionBinding } from '../wire/router-state.ts';
import { captureState } from './capture.ts';
import { findState, shareState } from './warm-start.ts';
import type { WarmState } from './warm-state.ts';

/** The router that a state is carried to, and from. */
export interface Carrier {
  readonly parts: Pick<RoutingParts, 'options' | 'ranks' | 'index' | 'indexName' | 'sequences'>;
  readonly sources: () => readonly SourceReport[];
  readonly recorder: RouteRecorder | undefined;
}

/** What a router takes over from another one when it begins, and gives to others from then on. */
export class CarriedState implements AsyncDisposable {
  readonly #carrier: Carrier;
  readonly #found = Promise.withResolvers<WarmState | undefined>();
  /** Bindings of sessions that were taken over, until the client that keeps them is there. */
  #borrowed: readonly SessionBinding[] = [];
  #sessions: SessionTable | undefined;
  #sharing: AsyncDisposable | undefined;

  constructor(carrier: Carrier) {
    this.#carrier = carrier;
  }

  /** Settles once it is known with what the router begins. */
  get found(): Promise<WarmState | undefined> {
    return this.#found.promise;
  }

  /** Takes over what others know, where that is asked for; `ready` is when the workers are known. From then on others may ask. */
  async begin(
    runtime: DistributedRuntime,
    name: EndpointName,
    options: { warmStart: KvRouterOptions['warmStart']; replicas: ReplicaSync | undefined; ready: Promise<void> },
  ): Promise<void> {
    const { warmStart, replicas, ready } = options;
    if (warmStart === undefined) {
      replicas?.takeOver([]);
      return this.#found.resolve(undefined);
    }
    const { options: resolved, index, indexName, ranks, sequences } = this.#carrier.parts;
    const { blockSize } = resolved;
    const state = await findState(runtime, name, { ...warmStart, blockSize, indexName, restore: (chain) => this.#restore(chain) });
    await ready;
    this.#found.resolve(state);
    this.#take(state, replicas);
    const sessions = (): SessionBinding[] => bindingsOf(this.#sessions);
    const host = { blockSize, index, indexName, ranks, sources: this.#carrier.sources, requests: () => sequences.running(), sessions };
    this.#sharing = await shareState(runtime, name, { ...warmStart, capture: () => captureState(host, Date.now()) });
  }

  /** Keeps the sessions of a client: it gets those that were taken over, and others may ask for its own. */
  carries(sessions: SessionTable | undefined): void {
    this.#sessions = sessions;
    for (const { sessionId: session, workerId: instance, dpRank: rank, sequence, writerId: writer } of this.#borrowed)
      sessions?.heard({ session, instance, ...(rank === undefined ? {} : { rank }), sequence, writer });
    this.#borrowed = [];
  }

  /** Gives nothing any more; a snapshot is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#found.resolve(undefined);
    await this.#sharing?.[Symbol.asyncDispose]();
  }

  #take(state: WarmState | undefined, replicas: ReplicaSync | undefined): void {
    const { ranks, index } = this.#carrier.parts;
    // Of workers that are gone nothing is taken.
    const decisions = (state?.decisions ?? []).filter(({ workerId, dpRank }) => ranks.find(workerId, dpRank) !== undefined);
    this.#record({ kind: 'decisions', decisions });
    for (const decision of decisions) index.remember(decision);
    if (replicas !== undefined) this.#record({ kind: 'requests', requests: state?.requests ?? [] });
    replicas?.takeOver(state?.requests ?? []);
    this.#borrowed = state?.sessions ?? [];
  }

  #restore(chain: RankChain): boolean {
    this.#record({ kind: 'chains', chains: [chain] });
    return this.#carrier.parts.index.restore(chain) === outcome.ok;
  }

  #record(frame: Parameters<typeof encodeStateFrame>[0]): void {
    this.#carrier.recorder?.record({ kind: 'state', frame: encodeStateFrame(frame) });
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
