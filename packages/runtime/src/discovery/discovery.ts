import type { InstanceId } from '../endpoint/instance.ts';

/**
 * The four kinds of record, named as their key prefixes are (spec runtime-wire 3), and `values`: plain texts under keys
 * that are whole paths, such as a planner's decisions (spec planner 1).
 */
export type Bucket = 'v1/instances' | 'v1/mdc' | 'v1/event_channels' | 'v1/event_sources' | 'values';

/** One entry: `key` without the bucket and its slash, `value` as the exact JSON text on the wire. */
export interface DiscoveryRecord {
  readonly bucket: Bucket;
  readonly key: string;
  readonly value: string;
}

/** Which records to see: a bucket, and optionally a key prefix that ends at a segment border. */
export interface DiscoveryQuery {
  readonly bucket: Bucket;
  /** Matches the key equal to it and keys that go on with `/`: `a/b` never matches `a/bc`. */
  readonly prefix?: string;
}

/** What a watch tells: the whole picture once, then one change at a time. */
export type DiscoveryChange =
  | { readonly type: 'snapshot'; readonly records: readonly DiscoveryRecord[] }
  | { readonly type: 'put'; readonly record: DiscoveryRecord }
  | { readonly type: 'delete'; readonly bucket: Bucket; readonly key: string };

/** Where processes find each other. One implementation a backend; all of them pass `discovery.contract.ts`. */
export interface Discovery extends AsyncDisposable {
  /** This runtime's id: from the lease where there is one, else random. */
  readonly instanceId: InstanceId;
  /** Publishes a record and keeps it alive; disposing the result withdraws it. A key that exists already fails with `invalid_argument`. */
  put(record: DiscoveryRecord): Promise<AsyncDisposable>;
  /** Writes a record of the bucket `values` over whatever is there, whoever wrote that; it goes with this runtime. */
  set(record: DiscoveryRecord): Promise<void>;
  list(query: DiscoveryQuery): Promise<readonly DiscoveryRecord[]>;
  /** Snapshot first, then changes, until the signal aborts (then the iteration ends). */
  watch(query: DiscoveryQuery, options: { signal: AbortSignal }): AsyncIterable<DiscoveryChange>;
  /** Rejects when the lease is gone and the runtime must shut down; never settles for backends without a lease. */
  readonly lost: Promise<never>;
}
