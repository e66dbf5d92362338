import { DynamoError } from '@dynamo/runtime';
import type { KnownWorker, WorkerSet } from '../workers/worker-set.ts';
import { preferenceOf } from './cost.ts';

/** What a request asks of its worker (spec kv-router 8, 11). */
export interface Constraints {
  /** Only ranks of workers that have all of these. */
  readonly requiredTaints?: Iterable<string>;
  /** Weights (float32) of taints that make a worker cheaper, or with a minus sign dearer. */
  readonly preferredTaints?: Readonly<Record<string, number>>;
  /** This worker and no other; without a rank, any of its ranks. */
  readonly pinned?: { readonly workerId: bigint; readonly dpRank?: number };
  /** Only these workers. */
  readonly allowed?: Iterable<bigint>;
  /** None of these: they have failed the request before. */
  readonly excluded?: ReadonlySet<bigint>;
}

/** Why a rank can't be chosen, or that it can. */
export type Eligibility = 'eligible' | 'not_allowed' | 'unavailable' | 'overloaded' | 'missing_taint' | 'not_pinned';

/** Tells whether a worker is over its thresholds now. */
export type IsOverloaded = (workerId: bigint) => boolean;

/** The constraints of one request, ready to be asked rank by rank. */
export interface Rules {
  readonly allowed: ReadonlySet<bigint> | undefined;
  readonly excluded: ReadonlySet<bigint> | undefined;
  readonly required: readonly string[];
  readonly pinned: Constraints['pinned'];
  readonly overloaded: IsOverloaded;
}

const never: IsOverloaded = () => false;

/** Makes the sets that are asked for each rank. */
export const rulesOf = (constraints: Constraints = {}, overloaded: IsOverloaded = never): Rules => ({
  allowed: constraints.allowed === undefined ? undefined : new Set(constraints.allowed),
  excluded: constraints.excluded === undefined || constraints.excluded.size === 0 ? undefined : constraints.excluded,
  required: constraints.requiredTaints === undefined ? [] : [...constraints.requiredTaints],
  pinned: constraints.pinned,
  overloaded,
});

/** Whether one rank of a known worker may take the request. */
export function eligibility(worker: KnownWorker, dpRank: number, rules: Rules): Eligibility {
  if (rules.allowed !== undefined && !rules.allowed.has(worker.id)) return 'not_allowed';
  if (rules.excluded?.has(worker.id) === true) return 'not_allowed';
  const { pinned } = rules;
  if (pinned !== undefined && (pinned.workerId !== worker.id || (pinned.dpRank !== undefined && pinned.dpRank !== dpRank))) return 'not_pinned';
  if (!worker.available) return 'unavailable';
  for (const taint of rules.required) if (!worker.config.taints.has(taint)) return 'missing_taint';
  return rules.overloaded(worker.id) ? 'overloaded' : 'eligible';
}

/** Whether every rank that is not in quarantine will do: the way of nearly all requests. */
const isPlain = ({ allowed, excluded, required, pinned, overloaded }: Rules): boolean =>
  allowed === undefined && excluded === undefined && pinned === undefined && required.length === 0 && overloaded === never;

/**
 * Writes the ranks that may take the request and tells how many they are.
 *
 * @throws DynamoError in the words of 1.6.1 (spec kv-router 8): `invalid_argument` for a pin outside the allowed set,
 * `resource_exhausted` where only overload stands in the way, `unavailable` with `reason: 'no_endpoints'` where nobody can.
 */
export function eligibleRanks(workers: WorkerSet, rules: Rules, out: Uint32Array): number {
  const { pinned, allowed } = rules;
  if (pinned !== undefined && allowed !== undefined && !allowed.has(pinned.workerId)) {
    throw new DynamoError('invalid_argument', `pinned worker ${pinned.workerId} is not in allowed worker set`, {
      data: { instance: pinned.workerId },
    });
  }
  if (isPlain(rules) && workers.open.length > 0) {
    out.set(workers.open);
    return workers.open.length;
  }
  let count = 0;
  let overloaded = 0;
  for (const rank of workers.numbers) {
    const worker = workers.ofRank(rank);
    if (worker === undefined) continue;
    const state = eligibility(worker, workers.ranks.dpRankOf(rank), rules);
    if (state === 'eligible') out[count++] = rank;
    else if (state === 'overloaded') overloaded++;
  }
  if (count > 0) return count;
  if (overloaded === 0) throw noEndpoints();
  const message = pinned === undefined ? 'all eligible workers are overloaded' : `pinned worker ${pinned.workerId} is overloaded`;
  throw new DynamoError('resource_exhausted', message, { data: pinned === undefined ? {} : { instance: pinned.workerId } });
}

/** Nobody may take the request. */
const noEndpoints = (): DynamoError => new DynamoError('unavailable', 'no endpoints available to route work', { data: { reason: 'no_endpoints' } });

/** Writes what preferred taints multiply each rank's cost by. */
export function writePreferences(workers: WorkerSet, preferred: Readonly<Record<string, number>>, out: Float64Array): void {
  const entries = Object.entries(preferred).map(([taint, weight]) => [taint, Math.fround(weight)] as const);
  for (const worker of workers.all()) {
    let sum = 0;
    for (const [taint, weight] of entries) if (worker.config.taints.has(taint)) sum += weight;
    const factor = preferenceOf(sum);
    for (const rank of worker.ranks) out[rank] = factor;
  }
}
