import { DynamoError } from '../error.ts';
import type { DiscoveryChange, DiscoveryQuery, DiscoveryRecord } from './discovery.ts';

/** Whether a key lies under a query's prefix: equal to it or going on with a slash. */
export const matches = (query: DiscoveryQuery, key: string): boolean =>
  query.prefix === undefined || key === query.prefix || key.startsWith(`${query.prefix}/`);

/** What changed between two pictures, in no promised order. */
export function* differences(before: ReadonlyMap<string, DiscoveryRecord>, after: ReadonlyMap<string, DiscoveryRecord>): Generator<DiscoveryChange> {
  for (const [key, record] of before) if (!after.has(key)) yield { type: 'delete', bucket: record.bucket, key };
  for (const [key, record] of after) if (before.get(key)?.value !== record.value) yield { type: 'put', record };
}

/** One picture of a bucket, by key. */
export const byKey = (records: readonly DiscoveryRecord[]): Map<string, DiscoveryRecord> => new Map(records.map((record) => [record.key, record]));

/** Whether a text is a record: a JSON object with a `type` (spec runtime-wire 3). What is none is never shown to a reader. */
export function isRecord(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
  } catch {
    return false;
  }
}

/**
 * Only plain values are written over: a record has one owner.
 *
 * @throws DynamoError `invalid_argument` for records of other buckets.
 */
export function checkValue({ bucket, key }: DiscoveryRecord): void {
  if (bucket !== 'values') throw new DynamoError('invalid_argument', `discovery key '${bucket}/${key}' is no plain value`, { data: { key } });
}
