import { randomBytes } from 'node:crypto';
import { DynamoError } from '../../error.ts';
import { checkValue, matches } from '../changes.ts';
import type { Discovery, DiscoveryQuery, DiscoveryRecord } from '../discovery.ts';
import { follow } from '../follow.ts';

/** Records that live in this process. Runtimes that are given the same store find each other. */
export class MemStore {
  readonly #records = new Map<string, DiscoveryRecord>();
  readonly #listeners = new Set<() => void>();

  add(record: DiscoveryRecord): () => void {
    const path = `${record.bucket}/${record.key}`;
    if (this.#records.has(path)) throw new DynamoError('invalid_argument', `discovery key '${path}' exists already`, { data: { key: path } });
    this.#records.set(path, record);
    this.#tell();
    return () => {
      if (this.#records.get(path) === record && this.#records.delete(path)) this.#tell();
    };
  }

  /** Puts a record over what is there; the result takes this one away again. */
  set(record: DiscoveryRecord): () => void {
    this.#records.delete(`${record.bucket}/${record.key}`);
    return this.add(record);
  }

  list(query: DiscoveryQuery): DiscoveryRecord[] {
    return [...this.#records.values()].filter((record) => record.bucket === query.bucket && matches(query, record.key));
  }

  subscribe(ring: () => void): Disposable {
    this.#listeners.add(ring);
    return { [Symbol.dispose]: () => void this.#listeners.delete(ring) };
  }

  #tell(): void {
    for (const ring of this.#listeners) ring();
  }
}

/** Discovery inside one process; nothing outlives it. */
export function mem(store: MemStore = new MemStore()): Discovery {
  const own = new Set<() => void>();
  const values = new Map<string, () => void>();
  return {
    instanceId: randomBytes(8).readBigUInt64BE(),
    lost: new Promise<never>(() => {}),
    async put(record) {
      const remove = store.add(record);
      own.add(remove);
      return {
        async [Symbol.asyncDispose]() {
          own.delete(remove);
          remove();
        },
      };
    },
    async set(record) {
      checkValue(record);
      values.set(record.key, store.set(record));
    },
    async list(query) {
      return store.list(query);
    },
    watch: (query, options) => follow(store, async () => store.list(query), options),
    async [Symbol.asyncDispose]() {
      for (const remove of [...own, ...values.values()]) remove();
      own.clear();
      values.clear();
    },
  };
}
