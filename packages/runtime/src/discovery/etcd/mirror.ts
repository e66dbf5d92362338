import { setTimeout as sleep } from 'node:timers/promises';
import { backoff } from '../../async/backoff.ts';
import type { Logger } from '../../log.ts';
import type { DiscoveryQuery, DiscoveryRecord } from '../discovery.ts';
import type { Tidings } from '../follow.ts';
import type { EntryChange, EtcdConnection } from './connection.ts';
import { keyOf, type RecordReader, rangeOf } from './records.ts';

/** What a mirror needs. */
export interface MirrorParts {
  readonly connection: EtcdConnection;
  readonly read: RecordReader;
  readonly log: Logger;
  readonly random?: () => number;
}

/**
 * A live copy of what a query matches: one look at everything, then the changes from that revision on, and again from
 * the start whenever the watch breaks or its history is gone (spec runtime-wire 3.3). While etcd is away, what was seen
 * last stands.
 */
export class Mirror implements Tidings, AsyncDisposable {
  readonly #parts: MirrorParts;
  readonly #query: DiscoveryQuery;
  readonly #listeners = new Set<() => void>();
  readonly #stop = new AbortController();
  readonly #opened = Promise.withResolvers<void>();
  readonly #loop: Promise<void>;
  #records = new Map<string, DiscoveryRecord>();

  constructor(parts: MirrorParts, query: DiscoveryQuery) {
    this.#parts = parts;
    this.#query = query;
    this.#loop = this.#run();
  }

  /** Settles with the first look, or with the disposal. */
  get opened(): Promise<void> {
    return this.#opened.promise;
  }

  get records(): readonly DiscoveryRecord[] {
    return [...this.#records.values()];
  }

  subscribe(ring: () => void): Disposable {
    this.#listeners.add(ring);
    return { [Symbol.dispose]: () => void this.#listeners.delete(ring) };
  }

  /** Ends the loop without waiting for it. */
  stop(): void {
    this.#stop.abort();
    this.#opened.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { connection, log, random } = this.#parts;
    const { signal } = this.#stop;
    const waits = backoff({ firstMs: 50, mostMs: 2_000, ...(random === undefined ? {} : { random }) });
    const range = rangeOf(this.#query);
    let failing = false;
    while (!signal.aborted) {
      try {
        const { entries, revision } = await connection.read(range);
        if (signal.aborted) return;
        this.#replace(entries.flatMap((entry) => this.#parts.read(entry, this.#query) ?? []));
        if (failing) log.info({ bucket: this.#query.bucket }, 'sees etcd again');
        failing = false;
        waits.reset();
        await connection.watch(range, { after: revision, signal, onChanges: (changes) => this.#apply(changes) });
      } catch (error) {
        if (signal.aborted) return;
        if (!failing) log.warn({ error: String(error), bucket: this.#query.bucket }, 'lost sight of etcd: what was seen last stands');
        failing = true;
        await sleep(waits.next(), undefined, { signal }).catch(() => {});
      }
    }
  }

  #replace(records: readonly DiscoveryRecord[]): void {
    this.#records = new Map(records.map((record) => [record.key, record]));
    this.#opened.resolve();
    this.#ring();
  }

  #apply(changes: readonly EntryChange[]): void {
    for (const change of changes) {
      const found = this.#parts.read(change, this.#query);
      if (found !== undefined && !change.deleted) this.#records.set(found.key, found);
      else this.#records.delete(keyOf(this.#query.bucket, change.key.toString()));
    }
    this.#ring();
  }

  #ring(): void {
    for (const ring of this.#listeners) ring();
  }
}
