import { DynamoError } from '@dynamo/runtime';
import type { Clock } from '../load/clock.ts';
import type { Outlook } from '../select/scheduler.ts';
import { ClassQueue, type Place, type QueueStats, type Ticket } from './class-queue.ts';
import { DeficitRoundRobin } from './deficit-round-robin.ts';
import { canWait, classify, isBusy, type PolicyProfile } from './policy-classes.ts';

/** Most requests that wait in all classes together where their own limits allow more. */
const hardLimit = 65_536;

/** What the queue asks of the router. */
export interface AdmissionHost<Request, Result> {
  /** What stands in the way of the request now. Throws where nobody may take it at all. */
  outlook(request: Request): Outlook;
  /** Places the request and counts it; what it throws is the request's answer. */
  dispatch(request: Request, waitedMs: number): Result;
  /** How many workers discovery shows: limits go by it. */
  workers(): number;
  /** Told of each request and the class that it falls into. */
  received?(request: Request, policy: string): void;
  /** Told of each request that its class has no room for. */
  refused?(request: Request, policy: string, limit: QueueLimit): void;
}

/** What a request says of its place in the queue. */
export interface Priority {
  /** Prompt tokens. */
  readonly isl: number;
  /** Name of an explicit class or of a family. */
  readonly policyClass?: string;
  readonly strictPriority?: number;
  readonly priorityJump?: number;
  /** The worker (and rank) that it is pinned to, as text. */
  readonly lane?: string;
  /** Takes the request out of the queue. */
  readonly signal?: AbortSignal;
}

/** Which limit a refused request hit, in the words of the wire. */
export type QueueLimit = 'requests' | 'raw_isl_tokens' | 'cached_tokens';

interface Held<Request, Result> {
  readonly request: Request;
  readonly since: number;
  readonly resolve: (result: Result) => void;
  readonly reject: (error: unknown) => void;
  readonly unlink: () => void;
}

/**
 * Lets requests through while some rank has room, and keeps the others in order until one has (spec kv-router 9).
 *
 * Nothing waits unless a threshold is set. Whoever changes loads or workers calls `drain`.
 */
export class AdmissionQueue<Request, Result> implements Disposable {
  readonly #profile: PolicyProfile;
  readonly #host: AdmissionHost<Request, Result>;
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #classes: readonly ClassQueue<Held<Request, Result>>[];
  readonly #turns: DeficitRoundRobin<Held<Request, Result>>;
  /** The class of each place that is taken. */
  readonly #places = new Map<Place<Held<Request, Result>>, number>();
  #draining = false;
  #again = false;

  constructor(options: { profile: PolicyProfile; host: AdmissionHost<Request, Result>; clock: Clock; limit?: number }) {
    this.#profile = options.profile;
    this.#host = options.host;
    this.#clock = options.clock;
    this.#limit = options.limit ?? hardLimit;
    this.#classes = options.profile.classes.map((policy) => new ClassQueue(policy));
    this.#turns = new DeficitRoundRobin(this.#classes);
  }

  /** How many requests wait, and how many prompt tokens they have. */
  get pending(): { readonly requests: number; readonly islTokens: number } {
    let requests = 0;
    let islTokens = 0;
    for (const { stats } of this.#classes) {
      requests += stats.requests;
      islTokens += stats.islTokens;
    }
    return { requests, islTokens };
  }

  /** What each class holds, by its name. */
  stats(): ReadonlyMap<string, Readonly<QueueStats>> {
    return new Map(this.#classes.map(({ policy, stats }) => [policy.name, { ...stats }]));
  }

  /**
   * Dispatches the request now, or when its turn comes.
   *
   * @throws DynamoError `queue_limit_exceeded` at once when the class holds as much as it may; what `dispatch` throws; the
   * signal's reason when it aborts first.
   */
  async submit(request: Request, priority: Priority): Promise<Result> {
    priority.signal?.throwIfAborted();
    const outlook = this.#needsOutlook ? this.#host.outlook(request) : undefined;
    const cachedTokens = outlook?.cachedTokens ?? 0;
    const uncachedTokens = priority.isl - cachedTokens;
    const { policyClass: name } = priority;
    const at = outlook === undefined ? 0 : classify(this.#profile, { uncachedTokens, ...(name === undefined ? {} : { name }) });
    const queue = this.#classes[at];
    if (queue === undefined) throw new DynamoError('unknown', 'the policy profile has no class for the request');
    this.#host.received?.(request, queue.policy.name);
    const busy = outlook?.isBusy((tokens, most) => isBusy(queue.policy, tokens, most)) ?? false;
    if (!canWait(queue.policy) || (queue.stats.requests === 0 && !busy)) return this.#host.dispatch(request, 0);
    this.#refuse(request, queue);
    return this.#wait(at, { request, priority, cachedTokens });
  }

  /** Dispatches whatever can go now. */
  drain(): void {
    this.#again = true;
    if (this.#draining) return;
    this.#draining = true;
    try {
      while (this.#again) {
        this.#again = false;
        for (let turn = this.#next(); turn !== undefined; turn = this.#next()) this.#go(turn.place.value.value);
      }
    } finally {
      this.#draining = false;
    }
  }

  /** Ends all that wait with `unavailable`. */
  [Symbol.dispose](): void {
    for (const place of [...this.#places.keys()]) {
      this.#leave(place);
      place.value.value.reject(new DynamoError('unavailable', 'the router is shutting down'));
    }
  }

  /** A single class that never waits needs no look at the ranks before placing. */
  get #needsOutlook(): boolean {
    return this.#classes.length > 1 || this.#classes.some(({ policy }) => canWait(policy));
  }

  #refuse(request: Request, queue: ClassQueue<unknown>): void {
    const { policy, stats } = queue;
    const limitReached = (kind: QueueLimit, reached: { current: number; limit: number }): DynamoError => {
      this.#host.refused?.(request, policy.name, kind);
      return limitError(policy.name, kind, reached);
    };
    const workers = this.#host.workers();
    const limits: readonly (readonly [QueueLimit, number, number | undefined])[] = [
      ['requests', stats.requests, policy.requestsPerWorker],
      ['raw_isl_tokens', stats.islTokens, policy.islTokensPerWorker],
      ['cached_tokens', stats.cachedTokens, policy.cachedTokensPerWorker],
    ];
    for (const [kind, current, perWorker] of limits) {
      if (perWorker !== undefined && current >= perWorker * workers) throw limitReached(kind, { current, limit: perWorker * workers });
    }
    const { requests } = this.pending;
    if (requests >= this.#limit) throw limitReached('requests', { current: requests, limit: this.#limit });
  }

  #wait(at: number, arrived: { request: Request; priority: Priority; cachedTokens: number }): Promise<Result> {
    const { priority, cachedTokens, request } = arrived;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    const since = this.#clock();
    const jump = priority.priorityJump ?? 0;
    const onAbort = (): void => {
      this.#leave(place);
      reject(DynamoError.from(priority.signal?.reason));
      this.drain();
    };
    const unlink = (): void => priority.signal?.removeEventListener('abort', onAbort);
    const ticket: Ticket<Held<Request, Result>> = {
      strictPriority: priority.strictPriority ?? 0,
      // A NaN counts as no jump.
      priorityJump: jump > 0 ? jump : 0,
      arrival: since / 1000,
      cost: Math.max(1, priority.isl - cachedTokens),
      isl: priority.isl,
      cachedTokens,
      ...(priority.lane === undefined ? {} : { lane: priority.lane }),
      value: { request, since, resolve, reject, unlink },
    };
    const place = (this.#classes[at] as ClassQueue<Held<Request, Result>>).add(ticket);
    this.#places.set(place, at);
    priority.signal?.addEventListener('abort', onAbort, { once: true });
    return promise;
  }

  #next(): { readonly place: Place<Held<Request, Result>> } | undefined {
    const turn = this.#turns.next((at, ticket) => this.#canGo(at, ticket));
    if (turn === undefined) return undefined;
    turn.place.value.value.unlink();
    this.#places.delete(turn.place);
    return turn;
  }

  /** Whether some rank has room; a request that nobody may take goes too, to its error. */
  #canGo(at: number, ticket: Ticket<Held<Request, Result>>): boolean {
    const policy = this.#classes[at]?.policy;
    if (policy === undefined) return false;
    try {
      return !this.#host.outlook(ticket.value.request).isBusy((tokens, most) => isBusy(policy, tokens, most));
    } catch {
      return true;
    }
  }

  #go({ request, since, resolve, reject }: Held<Request, Result>): void {
    try {
      resolve(this.#host.dispatch(request, this.#clock() - since));
    } catch (error) {
      reject(error);
    }
  }

  #leave(place: Place<Held<Request, Result>>): void {
    const at = this.#places.get(place);
    if (at === undefined) return;
    place.value.value.unlink();
    this.#places.delete(place);
    this.#classes[at]?.remove(place);
  }
}

function limitError(policyClass: string, kind: QueueLimit, { current, limit }: { current: number; limit: number }): DynamoError {
  const message = `router policy class "${policyClass}" queue ${kind} limit reached (current=${current}, limit=${limit})`;
  return new DynamoError('queue_limit_exceeded', message, { data: { policyClass, limitKind: kind, current, limit } });
}
