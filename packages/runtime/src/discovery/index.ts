import type { Logger } from '../log.ts';
import type { Discovery } from './discovery.ts';
import { type EtcdOptions, etcdOptionsOf } from './etcd/options.ts';
import { file } from './file/index.ts';
import { mem, type MemStore } from './mem/index.ts';

/** What a backend may need to open. */
export interface DiscoveryOptions {
  readonly log: Logger;
  /** Folder of the `file` backend. */
  readonly root: string;
  /** Time to live of a record in milliseconds; the backend's own default when absent. */
  readonly ttlMs?: number;
  /** What the `mem` backend shares between runtimes; private to one runtime when absent. */
  readonly store?: MemStore;
  /** Where the `etcd` backend's servers are; at its usual place when absent. */
  readonly etcd?: EtcdOptions;
}

/** Every backend by name: a new one is one folder and one line here. */
export const discoveries: Readonly<Record<DiscoveryName, (options: DiscoveryOptions) => Promise<Discovery>>> = {
  mem: async (options) => mem(options.store),
  file: (options) => file(options),
  etcd: async (options) => (await import('./etcd/index.ts')).etcd({ log: options.log, etcd: options.etcd ?? etcdOptionsOf({}) }),
};

/** Names of the backends that exist. */
export type DiscoveryName = 'mem' | 'file' | 'etcd';
