import { checkNumber, checkSignal } from '../check.ts';
import type { Discovery, DiscoveryRecord } from '../discovery/discovery.ts';
import { DynamoError } from '../error.ts';
import type { Instance, InstanceId } from '../endpoint/instance.ts';
import type { EndpointName } from '../endpoint/path.ts';
import type { Logger } from '../log.ts';
import { decodeInstance } from '../wire/discovery-record.ts';

/** The live instances of one endpoint, and which of them may be routed to. */
export class InstanceSet implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #loop: Promise<void>;
  readonly #known = new Map<string, Instance>();
  readonly #quarantined = new Map<InstanceId, number>();
  readonly #overloaded = new Map<InstanceId, number>();
  readonly #gone = new Set<(id: InstanceId) => void>();
  readonly #waiters = new Set<() => void>();
  readonly #quarantineMs: number;
  readonly #log: Logger;
  /** When discovery last told of a change: the reconciliation's ticks are counted from it. */
  #changed: number = Date.now();
  #sorted: readonly Instance[] = [];

  constructor(discovery: Discovery, name: EndpointName, options: { quarantineMs: number; log: Logger }) {
    this.#quarantineMs = options.quarantineMs;
    this.#log = options.log;
    const prefix = `${name.namespace}/${name.component}/${name.endpoint}`;
    this.#loop = this.#follow(discovery, prefix).catch((error: unknown) =>
      options.log.error({ error: String(error), prefix }, 'the watch of instances has ended'),
    );
  }

  get all(): readonly Instance[] {
    return this.#sorted;
  }

  /** Those that are neither quarantined nor overloaded, in ascending order of their ids. */
  routable(): { readonly candidates: readonly Instance[]; readonly overloaded: boolean } {
    if (this.#quarantined.size === 0 && this.#overloaded.size === 0) return { candidates: this.#sorted, overloaded: false };
    const now = Date.now();
    for (const marks of [this.#quarantined, this.#overloaded]) for (const [id, until] of marks) if (until <= now) marks.delete(id);
    const healthy = this.#sorted.filter((instance) => !this.#quarantined.has(instance.id));
    const candidates = healthy.filter((instance) => !this.#overloaded.has(instance.id));
    return { candidates, overloaded: healthy.length > 0 };
  }

  find(id: InstanceId): Instance | undefined {
    return this.#sorted.find((instance) => instance.id === id);
  }

  isQuarantined(id: InstanceId): boolean {
    return (this.#quarantined.get(id) ?? 0) > Date.now();
  }

  isOverloaded(id: InstanceId): boolean {
    return (this.#overloaded.get(id) ?? 0) > Date.now();
  }

  /**
   * Keeps an instance out of routing until the next tick (spec runtime-wire 10).
   *
   * Ticks follow each other by the quarantine's length, from the last change of discovery on; a change readmits everybody.
   */
  quarantine(id: InstanceId): void {
    if (this.#quarantineMs === 0) return;
    const ticks = Math.floor((Date.now() - this.#changed) / this.#quarantineMs) + 1;
    this.#quarantined.set(id, this.#changed + ticks * this.#quarantineMs);
  }

  overload(id: InstanceId): void {
    if (this.#quarantineMs > 0) this.#overloaded.set(id, Date.now() + this.#quarantineMs);
  }

  /** Calls back when an instance leaves discovery. */
  onGone(callback: (id: InstanceId) => void): Disposable {
    this.#gone.add(callback);
    return { [Symbol.dispose]: () => void this.#gone.delete(callback) };
  }

  async ready(options: { min?: number; signal?: AbortSignal } = {}): Promise<readonly Instance[]> {
    checkNumber('min', options.min, { least: 1, most: 1_000_000, whole: true });
    checkSignal('signal', options.signal);
    const signals = options.signal === undefined ? [this.#stop.signal] : [this.#stop.signal, options.signal];
    while (this.#sorted.length < (options.min ?? 1)) {
      for (const signal of signals)
        if (signal.aborted) throw new DynamoError('cancelled', 'waiting for instances was cancelled', { cause: signal.reason });
      const { promise, resolve } = Promise.withResolvers<void>();
      const wake = (): void => resolve();
      this.#waiters.add(wake);
      for (const signal of signals) signal.addEventListener('abort', wake, { once: true });
      // Discovery itself does not keep a process alive; somebody who waits for it does.
      const alive = setInterval(() => {}, 60_000);
      await promise;
      clearInterval(alive);
      this.#waiters.delete(wake);
      for (const signal of signals) signal.removeEventListener('abort', wake);
    }
    return this.#sorted;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#loop;
  }

  async #follow(discovery: Discovery, prefix: string): Promise<void> {
    for await (const change of discovery.watch({ bucket: 'v1/instances', prefix }, { signal: this.#stop.signal })) {
      if (change.type === 'snapshot') for (const record of change.records) this.#put(record);
      else if (change.type === 'put') this.#put(change.record);
      else this.#remove(change.key);
      this.#quarantined.clear();
      this.#changed = Date.now();
      this.#sorted = [...this.#known.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
      for (const wake of this.#waiters) wake();
    }
  }

  #put(record: DiscoveryRecord): void {
    const instance = decodeInstance(record);
    if (instance === undefined) {
      this.#log.warn({ key: record.key }, 'ignored a record that is no instance');
      // What stood under the key before stands there no more.
      return this.#remove(record.key);
    }
    this.#known.set(record.key, instance);
  }

  #remove(key: string): void {
    const instance = this.#known.get(key);
    if (instance === undefined) return;
    this.#known.delete(key);
    for (const callback of this.#gone) callback(instance.id);
  }
}
