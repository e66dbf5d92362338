import type { QueuePolicyName } from './index.ts';

/** One queue, its limits and its share (spec kv-router 9). */
export interface PolicyClass {
  readonly name: string;
  /** Absent, together with the bucket, for a class that is chosen by its name alone. */
  readonly family?: string;
  readonly bucket?: string;
  readonly queue: QueuePolicyName;
  /** Credit of one round, in tokens that nobody has cached. */
  readonly quantum: number;
  /** A rank with more prompt tokens than this is busy. */
  readonly busyTokens?: number;
  /** The same as part of what the worker takes in a step. Without either, the class never waits. */
  readonly busyFraction?: number;
  readonly requestsPerWorker?: number;
  readonly islTokensPerWorker?: number;
  readonly cachedTokensPerWorker?: number;
}

/** The queues of one model, and how a request finds its own. */
export interface PolicyProfile {
  readonly defaultFamily: string;
  /** By ascending `minTokens`, the first with 0. */
  readonly buckets: readonly { readonly minTokens: number; readonly bucket: string }[];
  readonly classes: readonly PolicyClass[];
}

/** The profile of a router without a policy file: one class that waits only when a threshold is set. */
export const singleClass = (queue: QueuePolicyName, busyFraction?: number): PolicyProfile => ({
  defaultFamily: 'default',
  buckets: [{ minTokens: 0, bucket: 'all' }],
  classes: [{ name: 'default', family: 'default', bucket: 'all', queue, quantum: 1, ...(busyFraction === undefined ? {} : { busyFraction }) }],
});

/** Whether requests of the class may wait at all. */
export const canWait = (policy: PolicyClass): boolean => policy.busyTokens !== undefined || policy.busyFraction !== undefined;

/** Whether a rank with that many prompt tokens is busy for the class. */
export const isBusy = (policy: PolicyClass, prefillTokens: number, maxBatchedTokens: number): boolean =>
  (policy.busyTokens !== undefined && prefillTokens > policy.busyTokens) ||
  (policy.busyFraction !== undefined && prefillTokens > policy.busyFraction * maxBatchedTokens);

/**
 * The class of a request, as its place in `profile.classes`: an explicit class by name, else by family and bucket. A
 * name that is neither an explicit class nor a family counts as none, so nobody can skip the buckets by naming one.
 */
export function classify(profile: PolicyProfile, request: { name?: string; uncachedTokens: number }): number {
  const explicit = profile.classes.findIndex((policy) => policy.name === request.name && policy.family === undefined);
  if (explicit >= 0) return explicit;
  const named = request.name !== undefined && profile.classes.some(({ family }) => family === request.name);
  const family = named ? request.name : profile.defaultFamily;
  const bucket = profile.buckets.findLast(({ minTokens }) => minTokens <= request.uncachedTokens)?.bucket;
  return profile.classes.findIndex((policy) => policy.family === family && policy.bucket === bucket);
}
