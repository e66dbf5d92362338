import { ActiveSequences } from '../load/active-sequences.ts';
import type { Clock } from '../load/clock.ts';
import { OverloadMonitor } from '../load/overload-monitor.ts';
import { type KvRouterOptions, type ResolvedOptions, resolveOptions } from '../options.ts';
import { type PrefixIndexName, prefixIndexes } from '../prefix/index.ts';
import type { PrefixIndex, PrefixIndexOptions } from '../prefix/prefix-index.ts';
import type { PolicyProfile } from '../queue/policy-classes.ts';
import { RankTable } from '../ranks.ts';
import { Scheduler } from '../select/scheduler.ts';
import { type WorkerObserver, WorkerSet } from '../workers/worker-set.ts';
import { schedulerOptions } from './scheduler-options.ts';

/** What a router decides with: nothing here knows of a network, and time and chance come from outside. */
export interface RoutingParts {
  readonly options: ResolvedOptions;
  readonly ranks: RankTable;
  readonly workers: WorkerSet;
  readonly indexName: PrefixIndexName;
  readonly index: PrefixIndex;
  /** Another index of this router's own decisions, of the same ranks. */
  readonly predictions: () => PrefixIndex;
  readonly sequences: ActiveSequences;
  readonly overload: OverloadMonitor;
  readonly scheduler: Scheduler;
  /** How requests queue. */
  readonly profile: PolicyProfile;
}

/**
 * Puts a router's parts together, for a live router or for a simulated one.
 *
 * @throws DynamoError `invalid_argument` for options that can't be, see `resolveOptions`.
 */
export function routingParts(
  options: KvRouterOptions,
  parts: { readonly clock: Clock; readonly random?: () => number; readonly observer?: WorkerObserver },
): RoutingParts {
  const resolved = resolveOptions(options);
  const { settings } = resolved;
  const { clock } = parts;
  const ranks = new RankTable();
  const indexName = options.index ?? (settings.kvEvents ? 'events' : 'approximate');
  const predicting: PrefixIndexOptions = { ranks, clock, ttlMs: settings.ttlSeconds * 1_000 };
  const workers = new WorkerSet(ranks, parts.observer);
  const sequences = new ActiveSequences({ clock, ranks, keepSequences: options.warmStart?.peers === true && settings.replicaSync });
  const overload = new OverloadMonitor(workers, resolved.overload);
  return {
    options: resolved,
    ranks,
    workers,
    indexName,
    index: prefixIndexes[indexName]({
      ...predicting,
      policy: settings.approximatePolicy,
      ...(settings.predictedTtlSeconds === undefined ? {} : { predictedTtlMs: settings.predictedTtlSeconds * 1_000 }),
    }),
    predictions: () => prefixIndexes.approximate(predicting),
    sequences,
    overload,
    scheduler: new Scheduler(
      { workers, overload, sequences },
      { ...schedulerOptions(resolved, options), ...(parts.random === undefined ? {} : { random: parts.random }) },
    ),
    profile: resolved.profile,
  };
}
