import { DynamoError, type Logger } from '@dynamo/runtime';
import type { DiscoveryHost, DiscoveryRecord } from '@dynamo/runtime/internal';

/** What a planner wants: how many workers of each kind, under a number that counts up. Null is what it has said nothing of yet. */
export interface PlannerDecision {
  readonly prefill: number | null;
  readonly decode: number | null;
  readonly id: number | null;
}

/** What both ends of a virtual connector run on; a `DistributedRuntime` is one. */
export interface ConnectorHost extends DiscoveryHost {
  /** Aborts when the runtime shuts down. */
  readonly signal?: AbortSignal;
  readonly log?: Logger;
}

/** The last segments of the keys under `v1/{namespace}/planner/` (spec planner 1). */
export type PlannerKey = 'num_prefill_workers' | 'num_decode_workers' | 'decision_id' | 'scaled_decision_id';

/** Where a namespace's keys are, without the slash before their names; the namespace is taken as it is, and may be empty. */
export const plannerPath = (namespace: string): string => `v1/${namespace}/planner`;

/** One key of a namespace with its value. */
export const plannerRecord = (namespace: string, key: PlannerKey, value: number): DiscoveryRecord => ({
  bucket: 'values',
  key: `${plannerPath(namespace)}/${key}`,
  value: String(value),
});

/**
 * Reads a decision from its keys; names of others are left alone.
 *
 * @throws DynamoError `invalid_argument` for a value that is no whole number from 0 on.
 */
export function readDecision(values: ReadonlyMap<string, string>): PlannerDecision {
  return { prefill: countIn(values, 'num_prefill_workers'), decode: countIn(values, 'num_decode_workers'), id: countIn(values, 'decision_id') };
}

function countIn(values: ReadonlyMap<string, string>, key: PlannerKey): number | null {
  const text = values.get(key);
  if (text === undefined) return null;
  const count = parseCount(text);
  if (count !== undefined) return count;
  const why = text === '' ? 'cannot parse integer from empty string' : /^\+?\d+$/.test(text) ? 'number too large' : 'invalid digit found in string';
  throw new DynamoError('invalid_argument', `the planner's ${key} is '${text}': ${why}`, { data: { key, value: text } });
}

/** The number of the decision that was acknowledged last; undefined when there is none, or no number. */
export const acknowledgedIn = (values: ReadonlyMap<string, string>): number | undefined => parseCount(values.get('scaled_decision_id') ?? '');

/** Whole numbers as Rust reads unsigned ones. */
function parseCount(text: string): number | undefined {
  if (!/^\+?\d+$/.test(text)) return undefined;
  const count = Number(text);
  return Number.isSafeInteger(count) ? count : undefined;
}

/** Checks a count that somebody wants. */
export function checkCount(name: string, count: number | null | undefined): void {
  if (count === null || count === undefined || (Number.isSafeInteger(count) && count >= 0)) return;
  throw new DynamoError('invalid_argument', `${name} must be a whole number from 0 on, or null, not ${count}`, { data: { [name]: count } });
}
