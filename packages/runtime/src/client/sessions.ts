import type { InstanceId } from '../endpoint/instance.ts';

/** Most sessions that are remembered at once (spec kv-router 11); the one that was idle longest makes room. */
const defaultLimit = 65_536;

interface Binding {
  readonly session: string;
  instance: InstanceId;
  until: number;
  newer: Binding | undefined;
  older: Binding | undefined;
}

/**
 * Which instance each session is bound to, until it has been idle for a while.
 *
 * Bindings are chained by last use, which is also the order of their ends: what has expired is at the old end, and is let
 * go by whoever comes next. No timer is needed. (The insertion order of a `Map` would do, were it not that reading its
 * first entry passes over every deleted one.)
 */
export class Sessions {
  readonly #bindings = new Map<string, Binding>();
  readonly #ttlMs: number;
  readonly #limit: number;
  readonly #now: () => number;
  #newest: Binding | undefined;
  #oldest: Binding | undefined;

  constructor(options: { ttlMs: number; limit?: number; now?: () => number }) {
    this.#ttlMs = options.ttlMs;
    this.#limit = options.limit ?? defaultLimit;
    this.#now = options.now ?? (() => performance.now());
  }

  get size(): number {
    return this.#bindings.size;
  }

  /** The session's instance; it does not count as use. */
  get(session: string): InstanceId | undefined {
    this.#sweep();
    return this.#bindings.get(session)?.instance;
  }

  /** Binds the session, or begins its idle time anew. */
  bind(session: string, instance: InstanceId): void {
    this.#sweep();
    const known = this.#bindings.get(session);
    const binding = known ?? { session, instance, until: 0, newer: undefined, older: undefined };
    if (known === undefined) this.#bindings.set(session, binding);
    else this.#unlink(known);
    binding.instance = instance;
    binding.until = this.#now() + this.#ttlMs;
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
