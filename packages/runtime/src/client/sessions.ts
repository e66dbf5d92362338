import type { InstanceId } from '../endpoint/instance.ts';
import type { SessionEvent } from '../wire/session-event.ts';

/** Most sessions that are remembered at once (spec kv-router 11); the one that was idle longest makes room. */
const defaultLimit = 65_536;

/** Where a session is bound to. */
export interface Bound {
  readonly instance: InstanceId;
  /** The instance's data-parallel rank, where the policy chooses one. */
  readonly rank?: number;
}

/** How sessions are kept. */
export interface SessionsOptions {
  readonly ttlMs: number;
  readonly limit?: number;
  readonly now?: () => number;
  /** Who we are to the others that keep the same sessions. */
  readonly writer?: InstanceId;
  /** Where our versions begin: the Unix time in nanoseconds for those who share (spec kv-router 11). */
  readonly version?: bigint;
  /** Tells the others of each use. */
  readonly tell?: (event: SessionEvent) => void;
}

interface Binding {
  readonly session: string;
  to: Bound;
  sequence: bigint;
  writer: InstanceId;
  until: number;
  newer: Binding | undefined;
  older: Binding | undefined;
}

/**
 * Which instance each session is bound to, until it has been idle for a while: here, and at the others that tell each other.
 *
 * Bindings are chained by last use, which is also the order of their ends: what has expired is at the old end, and is let
 * go by whoever comes next. No timer is needed. (The insertion order of a `Map` would do, were it not that reading its
 * first entry passes over every deleted one.)
 */
export class Sessions {
  readonly #bindings = new Map<string, Binding>();
  readonly #options: SessionsOptions;
  readonly #limit: number;
  readonly #now: () => number;
  #version: bigint;
  #newest: Binding | undefined;
  #oldest: Binding | undefined;

  constructor(options: SessionsOptions) {
    this.#options = options;
    this.#limit = options.limit ?? defaultLimit;
    this.#now = options.now ?? (() => performance.now());
    this.#version = options.version ?? 0n;
  }

  get size(): number {
    return this.#bindings.size;
  }

  /** Where the session is bound to; it does not count as use. */
  get(session: string): Bound | undefined {
    this.#sweep();
    return this.#bindings.get(session)?.to;
  }

  /** Begins the session's idle time anew, for this table alone. */
  touch(session: string): void {
    const known = this.#bindings.get(session);
    if (known !== undefined) this.#put(known);
  }

  /** Binds the session, or uses its binding once more; tells the others either way. */
  bind(session: string, to: Bound): void {
    this.#sweep();
    const known = this.#bindings.get(session);
    const { writer = 0n } = this.#options;
    const same = known !== undefined && known.to.instance === to.instance && known.to.rank === to.rank;
    const binding = same ? known : this.#renewed(session, { to, sequence: ++this.#version, writer });
    this.#put(binding);
    const { sequence, writer: author } = binding;
    this.#options.tell?.({ session, instance: to.instance, ...(to.rank === undefined ? {} : { rank: to.rank }), sequence, writer: author });
  }

  /** Every binding, the longest idle first: for those who begin beside us. */
  *entries(): Generator<SessionEvent> {
    this.#sweep();
    for (let binding = this.#oldest; binding !== undefined; binding = binding.newer) {
      const { session, to, sequence, writer } = binding;
      yield { session, instance: to.instance, ...(to.rank === undefined ? {} : { rank: to.rank }), sequence, writer };
    }
  }

  /** Takes another's word: the larger version wins, then the larger writer; the same one is a use. */
  heard(event: SessionEvent): void {
    this.#sweep();
    if (event.sequence > this.#version) this.#version = event.sequence;
    const known = this.#bindings.get(event.session);
    if (known !== undefined && isOlder(event, known)) return;
    const { sequence, writer, instance, rank } = event;
    this.#put(this.#renewed(event.session, { to: { instance, ...(rank === undefined ? {} : { rank }) }, sequence, writer }));
  }

  #renewed(session: string, what: Pick<Binding, 'to' | 'sequence' | 'writer'>): Binding {
    const known = this.#bindings.get(session);
    if (known !== undefined) return Object.assign(known, what);
    return { session, ...what, until: 0, newer: undefined, older: undefined };
  }

  #put(binding: Binding): void {
    if (this.#bindings.has(binding.session)) this.#unlink(binding);
    else this.#bindings.set(binding.session, binding);
    binding.until = this.#now() + this.#options.ttlMs;
    binding.newer = undefined;
    binding.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = binding;
    else this.#newest.newer = binding;
    this.#newest = binding;
    if (this.#bindings.size > this.#limit) this.#drop(this.#oldest);
  }

  #sweep(): void {
    const now = this.#now();
    while (this.#oldest !== undefined && this.#oldest.until <= now) this.#drop(this.#oldest);
  }

  #drop(binding: Binding | undefined): void {
    if (binding === undefined) return;
    this.#bindings.delete(binding.session);
    this.#unlink(binding);
  }

  #unlink({ newer, older }: Binding): void {
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
  }
}

const isOlder = (event: SessionEvent, known: Binding): boolean =>
  event.sequence < known.sequence || (event.sequence === known.sequence && event.writer < known.writer);
