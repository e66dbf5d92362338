import type { Logger } from '../../log.ts';
import { isRecord, matches } from '../changes.ts';
import type { Bucket, DiscoveryQuery, DiscoveryRecord } from '../discovery.ts';
import type { Entry, KeyRange } from './connection.ts';

/** Key of a record in etcd: plain text (spec runtime-wire 3.3). The keys of plain values are paths already. */
export const pathOf = ({ bucket, key }: Pick<DiscoveryRecord, 'bucket' | 'key'>): string => (bucket === 'values' ? key : `${bucket}/${key}`);

/** Key of a record whose path in etcd this is. */
export const keyOf = (bucket: Bucket, path: string): string => (bucket === 'values' ? path : path.slice(bucket.length + 1));

/** `0` comes right after `/`: the range holds whatever goes on with a slash, and few keys that do not. */
export function rangeOf({ bucket, prefix }: DiscoveryQuery): KeyRange {
  const path = prefix === undefined ? bucket : pathOf({ bucket, key: prefix });
  return { start: prefix === undefined ? `${path}/` : path, end: `${path}0` };
}

/** Reads an entry as the record that a query asks for; undefined when it is none or another's. */
export type RecordReader = (entry: Pick<Entry, 'key' | 'value'>, query: DiscoveryQuery) => DiscoveryRecord | undefined;

/** Most keys whose log line is remembered. */
const rememberedComplaints = 1_000;

/** Makes a reader that leaves out what is no record, with one log line a key. */
export function recordReader(log: Logger): RecordReader {
  const complained = new Set<string>();
  return (entry, query) => {
    const path = entry.key.toString();
    const key = keyOf(query.bucket, path);
    if (!matches(query, key)) return undefined;
    const value = entry.value.toString();
    if (query.bucket === 'values') return { bucket: query.bucket, key, value };
    // Of a deleted key there is no value to judge.
    if (entry.value.length === 0) return undefined;
    if (isRecord(value) && !path.includes('\uFFFD')) return { bucket: query.bucket, key, value };
    if (complained.size >= rememberedComplaints) complained.clear();
    if (!complained.has(path)) log.warn({ key: path, bytes: entry.value.length }, 'ignored an entry of etcd that is no record');
    complained.add(path);
    return undefined;
  };
}
