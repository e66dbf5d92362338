import { DynamoError } from '@dynamo/runtime';
import type { Clock } from '../load/clock.ts';
import type { AffinityEvent } from '../wire/session-affinity.ts';

const shortestTtl = 1;
const longestTtl = 31_536_000;

/** Where a session is bound to. */
export interface Binding {
  readonly workerId: bigint;
  readonly dpRank?: number;
}

interface Entry extends Binding {
  readonly sequence: bigint;
  readonly writerId: bigint;
  /** When it was used last. */
  at: number;
}

/** How sessions are kept. */
export interface SessionAffinityOptions {
  /** Seconds of silence after which a session is free again, 1 … 31 536 000. */
  readonly ttlSeconds: number;
  /** `hard` is an exact pin; `soft` gives way when its worker can't be used. Default `hard`. */
  readonly mode?: 'hard' | 'soft';
  readonly writerId: bigint;
  readonly clock: Clock;
  /** Unix time in nanoseconds: where our versions begin. */
  readonly now: () => bigint;
  /** Most sessions that are kept; the longest unused one goes first. Default 65 536. */
  readonly limit?: number;
  /** Tells the other routers. */
  readonly publish?: (event: AffinityEvent) => void;
}

/** What a session asks of this request's placement. */
export type AffinityWish =
  | { readonly type: 'none' }
  | { readonly type: 'pin'; readonly to: Binding }
  | { readonly type: 'prefer'; readonly to: Binding };

/** How a bound worker stands: gone from discovery, there but quarantined or overloaded, or usable. */
export type WorkerStanding = 'gone' | 'unusable' | 'usable';

/**
 * Which worker and rank each session talks to, here and on the other routers (spec kv-router 11).
 *
 * The client's own affinity knows neither ranks nor other routers; this is for routers that do.
 */
export class SessionAffinity {
  readonly #options: SessionAffinityOptions;
  readonly #ttlMs: number;
  /** In order of use: the first is the longest unused. */
  readonly #sessions = new Map<string, Entry>();
  #sequence: bigint;

  /** @throws DynamoError `invalid_argument` for a TTL out of range, in the words of 1.6.1. */
  constructor(options: SessionAffinityOptions) {
    if (!(options.ttlSeconds >= shortestTtl && options.ttlSeconds <= longestTtl)) {
      throw new DynamoError('invalid_argument', `session_affinity_ttl_secs must be between ${shortestTtl} and ${longestTtl}`);
    }
    this.#options = options;
    this.#ttlMs = options.ttlSeconds * 1000;
    this.#sequence = options.now();
  }

  /** How many sessions are bound. */
  get size(): number {
    return this.#sessions.size;
  }

  /** The binding of a session that is still alive. */
  get(id: string): Binding | undefined {
    const entry = this.#alive(id);
    return entry === undefined ? undefined : target(entry);
  }

  /**
   * What to ask for a request of this session.
   *
   * @throws DynamoError `invalid_argument` when a hard session asks for another worker than its own.
   */
  wish(id: string, options: { standing: (workerId: bigint) => WorkerStanding; pinned?: bigint }): AffinityWish {
    const entry = this.#alive(id);
    if (entry === undefined) return { type: 'none' };
    const standing = options.standing(entry.workerId);
    if (standing === 'gone') return { type: 'none' };
    const hard = (this.#options.mode ?? 'hard') === 'hard';
    if (options.pinned !== undefined && options.pinned !== entry.workerId) {
      if (!hard) return { type: 'none' };
      throw new DynamoError('invalid_argument', `session ${id} is bound to worker ${entry.workerId}, the request asks for ${options.pinned}`);
    }
    if (!hard && standing === 'unusable') return { type: 'none' };
    return { type: hard ? 'pin' : 'prefer', to: target(entry) };
  }

  /** The request was sent: binds the session, or uses its binding once more; tells the others either way. */
  dispatched(id: string, to: Binding): void {
    const entry = this.#alive(id);
    if (entry !== undefined && entry.workerId === to.workerId && entry.dpRank === to.dpRank) return this.#use(id, entry);
    this.#sequence++;
    const bound: Entry = { ...to, sequence: this.#sequence, writerId: this.#options.writerId, at: this.#options.clock() };
    this.#put(id, bound);
    this.#tell(id, bound);
  }

  /** The answer has ended, well or not: the idle time begins anew. */
  ended(id: string): void {
    const entry = this.#alive(id);
    if (entry !== undefined) this.#use(id, entry);
  }

  /** Takes another router's word: the larger (sequence, writer) wins; the same one is a use. */
  onEvent(event: AffinityEvent): void {
    if (event.sequence > this.#sequence) this.#sequence = event.sequence;
    const entry = this.#alive(event.sessionId);
    if (entry !== undefined && older(event, entry)) return;
    const { sequence, writerId, workerId, dpRank } = event;
    this.#put(event.sessionId, { workerId, ...(dpRank === undefined ? {} : { dpRank }), sequence, writerId, at: this.#options.clock() });
  }

  #use(id: string, entry: Entry): void {
    entry.at = this.#options.clock();
    this.#put(id, entry);
    this.#tell(id, entry);
  }

  #tell(id: string, entry: Entry): void {
    this.#options.publish?.({ sessionId: id, ...target(entry), sequence: entry.sequence, writerId: entry.writerId });
  }

  #put(id: string, entry: Entry): void {
    this.#sessions.delete(id);
    this.#sessions.set(id, entry);
    const oldest = this.#sessions.keys().next().value;
    if (this.#sessions.size > (this.#options.limit ?? 65_536) && oldest !== undefined) this.#sessions.delete(oldest);
  }

  #alive(id: string): Entry | undefined {
    const entry = this.#sessions.get(id);
    if (entry === undefined || this.#options.clock() - entry.at <= this.#ttlMs) return entry;
    this.#sessions.delete(id);
    return undefined;
  }
}

const target = ({ workerId, dpRank }: Binding): Binding => ({ workerId, ...(dpRank === undefined ? {} : { dpRank }) });

const older = (event: AffinityEvent, entry: Entry): boolean =>
  event.sequence < entry.sequence || (event.sequence === entry.sequence && event.writerId < entry.writerId);
