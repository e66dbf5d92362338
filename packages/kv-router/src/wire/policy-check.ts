import { DynamoError } from '@dynamo/runtime';
import type { PolicyClass, PolicyProfile } from '../queue/policy-classes.ts';

/** Refuses a policy file in the words of 1.6.1. */
export function invalid(message: string): never {
  throw new DynamoError('invalid_argument', `invalid router policy config: ${message}`);
}

const legalName = /^[A-Za-z0-9_.-]+$/;

/** Checks that every request finds exactly one class; `where` is how the real router names the profile. */
export function checkProfile(profile: PolicyProfile, where: string): PolicyProfile {
  const { buckets, classes, defaultFamily } = profile;
  if (classes.length === 0) invalid(`${where} policy_classes must not be empty`);
  checkBuckets(profile, where);
  for (const [at, policy] of classes.entries()) {
    checkClass(policy, profile, where);
    if (classes.findIndex(({ name }) => name === policy.name) < at) invalid(`${where} contains duplicate policy class "${policy.name}"`);
    const twin = classes.findIndex(({ family, bucket }) => family !== undefined && family === policy.family && bucket === policy.bucket);
    if (twin >= 0 && twin < at) invalid(`${where} contains duplicate policy classes for family "${policy.family}" and bucket "${policy.bucket}"`);
  }
  const families = new Set(classes.flatMap(({ family }) => family ?? []));
  if (!families.has(defaultFamily)) invalid(`${where} default_policy_family "${defaultFamily}" does not name a configured family`);
  for (const { name, family } of classes) {
    if (family === undefined && families.has(name)) invalid(`${where} explicit policy class "${name}" collides with a policy family`);
  }
  for (const family of families) {
    for (const { bucket } of buckets) {
      if (!classes.some((policy) => policy.family === family && policy.bucket === bucket)) {
        invalid(`${where} is missing a policy class for family "${family}" and bucket "${bucket}"`);
      }
    }
  }
  return profile;
}

function checkBuckets({ buckets }: PolicyProfile, where: string): void {
  for (const [at, { minTokens, bucket }] of buckets.entries()) {
    if (!legalName.test(bucket)) invalid(`${where} cache bucket name "${bucket}" must match [A-Za-z0-9_.-]+`);
    if (at === 0 && minTokens !== 0) invalid(`${where} uncached_isl_buckets must start at min_tokens 0`);
    const before = buckets[at - 1];
    if (before !== undefined && before.minTokens >= minTokens) invalid(`${where} uncached_isl_buckets min_tokens must be strictly increasing`);
    if (buckets.findIndex((other) => other.bucket === bucket) < at) invalid(`${where} contains duplicate cache bucket "${bucket}"`);
  }
}

function checkClass(policy: PolicyClass, { buckets }: PolicyProfile, where: string): void {
  const { name, family, bucket, busyFraction } = policy;
  if (!legalName.test(name)) invalid(`${where} policy class name "${name}" must match [A-Za-z0-9_.-]+`);
  if (policy.quantum === 0) invalid(`${where} policy class "${name}" quantum must be greater than zero`);
  if (busyFraction !== undefined && !(busyFraction >= 0 && busyFraction < Infinity)) {
    invalid(`${where} policy class "${name}" prefill_busy_threshold_frac must be finite and non-negative`);
  }
  if (policy.queue === 'lcfs') invalid(`${where} policy class "${name}" queue_policy must be fcfs or wspt`);
  if ((family === undefined) !== (bucket === undefined)) {
    invalid(`${where} policy class "${name}" must specify both policy_family and cache_bucket or neither for an explicit class`);
  }
  if (family !== undefined && !legalName.test(family)) invalid(`${where} policy family name "${family}" must match [A-Za-z0-9_.-]+`);
  if (bucket !== undefined && !buckets.some((known) => known.bucket === bucket)) {
    invalid(`${where} policy class "${name}" references unknown cache bucket "${bucket}"`);
  }
}
