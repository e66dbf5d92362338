import type { Logger } from '../../log.ts';
import { isRecord, matches } from '../changes.ts';
import type { DiscoveryQuery, DiscoveryRecord } from '../discovery.ts';
import type { Entry, KeyRange } from './connection.ts';

/** Key of a record in etcd: plain text (spec runtime-wire 3.3). */
export const pathOf = (record: Pick<DiscoveryRecord, 'bucket' | 'key'>): string => `${record.bucket}/${record.key}`;

/** `0` comes right after `/`: the range holds whatever goes on with a slash, and few keys that do not. */
export const rangeOf = ({ bucket, prefix }: DiscoveryQuery): KeyRange =>
  prefix === undefined ? { start: `${bucket}/`, end: `${bucket}0` } : { start: `${bucket}/${prefix}`, end: `${bucket}/${prefix}0` };

/** Reads an entry as the record that a query asks for; undefined when it is none or another's. */
export type RecordReader = (entry: Pick<Entry, 'key' | 'value'>, query: DiscoveryQuery) => DiscoveryRecord | undefined;

/** Most keys whose log line is remembered. */
const rememberedComplaints = 1_000;

/** Makes a reader that leaves out what is no record, with one log line a key. */
export function recordReader(log: Logger): RecordReader {
  const complained = new Set<string>();
  return (entry, query) => {
    const path = entry.key.toString();
    const key = path.slice(query.bucket.length + 1);
    // Of a deleted key there is no value to judge.
    if (entry.value.length === 0 || !matches(query, key)) return undefined;
    const value = entry.value.toString();
    if (isRecord(value) && !path.includes('\uFFFD')) return { bucket: query.bucket, key, value };
    if (complained.size >= rememberedComplaints) complained.clear();
    if (!complained.has(path)) log.warn({ key: path, bytes: entry.value.length }, 'ignored an entry of etcd that is no record');
    complained.add(path);
    return undefined;
  };
}
