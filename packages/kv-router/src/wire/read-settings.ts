import { DynamoError } from '@dynamo/runtime';
import { describe, object, type Wire } from './members.ts';
import { defaultSettings, type RouterSettings, type SettingName, settingNames } from './router-settings.ts';

const bad = (message: string): DynamoError => new DynamoError('invalid_argument', message);

/** How 1.6.1 refuses a word that it doesn't know, by setting. */
const unknownWord: Readonly<Record<string, (word: string) => string>> = {
  router_tracking_hash: (word) => `router_tracking_hash must be public-xxh3-v1 or keyed-xxh3-v1, got "${word}"`,
  router_prefill_load_model: (word) => `unknown prefill load model: "${word}", expected 'none' or 'ais'`,
  router_approximate_cache_policy: (word) => `unknown approximate cache policy "${word}", expected 'ttl' or 'lru'`,
  router_queue_policy: (word) => `unknown queue policy: "${word}", expected 'fcfs', 'lcfs', or 'wspt'`,
  shared_cache_type: (word) => `unknown shared_cache_type: "${word}", expected 'none' or 'hicache'`,
  conditional_disagg_policy: (word) => `unknown conditional_disagg_policy: "${word}", expected 'isl_bounding', 'prefill_load', or 'isl_or_load'`,
};

const entries = Object.entries(settingNames) as [keyof RouterSettings, SettingName][];
const byWire = new Map(entries.map(([name, names]) => [names.wire, [name, names] as const]));
/** Members that older configurations may still carry: read and dropped. */
const legacy = ['durable_kv_events', 'router_snapshot_threshold', 'router_reset_states', 'skip_initial_worker_wait'];

/**
 * Reads settings under their wire names, as the constructor of `KvRouterConfig` takes them; null counts as absent.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1.
 */
export function readSettings(wire: Readonly<Record<string, unknown>>): RouterSettings {
  const read: Record<string, unknown> = { ...defaultSettings };
  for (const [name, value] of Object.entries(wire)) {
    if (value === null || value === undefined || name === 'overlap_score_weight') continue;
    const known = byWire.get(name);
    if (known === undefined) throw bad(`unknown router setting: ${name}`);
    read[known[0]] = readOne(known[1], value);
  }
  const weight = wire['overlap_score_weight'];
  if (typeof weight === 'number') {
    read['prefillLoadScale'] = weight;
    if (weight === 0) read['overlapCredit'] = 0;
  }
  return checkSettings(read as unknown as RouterSettings);
}

/**
 * Reads those settings that are there, under their wire names; null counts as absent.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1.
 */
export function partialSettings(wire: Readonly<Record<string, unknown>>): Partial<RouterSettings> {
  const read = readSettings(wire);
  const given = Object.keys(wire).filter((name) => wire[name] !== null && wire[name] !== undefined);
  return Object.fromEntries(given.flatMap((name) => byWire.get(name)?.[0] ?? []).map((name) => [name, read[name]]));
}

/** Members of the JSON that says when a prompt stays with its decode worker, by the setting that each fills. */
const conditionalMembers: Readonly<Record<string, string>> = {
  policy: 'conditional_disagg_policy',
  eff_isl_threshold: 'conditional_disagg_eff_isl_threshold',
  eff_isl_ratio_threshold: 'conditional_disagg_eff_isl_ratio_threshold',
  prefill_busy_threshold: 'conditional_disagg_prefill_busy_threshold',
  decode_busy_threshold: 'conditional_disagg_decode_busy_threshold',
};

/**
 * Reads the JSON object of `--router-conditional-disagg-config` (spec kv-router 18.5).
 *
 * @throws DynamoError `invalid_argument` for what is no object, an unknown member or one of the wrong type.
 */
export function readConditionalSettings(text: string): Partial<RouterSettings> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const members = Array.isArray(value) ? undefined : object(value);
  if (members === undefined) throw bad('conditional disaggregation config must be a JSON object');
  const wire = Object.entries(members).map(([name, member]): [string, unknown] => {
    const setting = conditionalMembers[name];
    if (setting === undefined)
      throw bad(`unknown conditional disaggregation setting ${name}, expected one of ${Object.keys(conditionalMembers).join(', ')}`);
    return [setting, member];
  });
  return partialSettings(Object.fromEntries(wire));
}

function readOne({ wire, type }: SettingName, value: unknown): unknown {
  if (typeof type === 'object') {
    const word = wire === 'router_prefill_load_model' && value === 'aic' ? 'ais' : value;
    if (typeof word === 'string' && type.includes(word)) return word;
    throw bad(unknownWord[wire]?.(String(value)) ?? `${wire} must be one of ${type.join(', ')}`);
  }
  const fits = {
    number: typeof value === 'number',
    count: typeof value === 'number' && Number.isSafeInteger(value) && value >= 0,
    switch: typeof value === 'boolean',
    text: typeof value === 'string',
  };
  if (!fits[type]) throw bad(`${wire} must be a ${type === 'count' ? 'whole number' : type}, got ${describe(value)}`);
  return value;
}

/**
 * Reads the JSON form of a configuration, as a worker's card or a file holds it: unknown members are refused.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1, without the line numbers that it adds to some.
 */
export function readSettingsJson(value: unknown): RouterSettings {
  const parsed = 'Failed to parse KvRouterConfig JSON: ';
  const wire = Array.isArray(value) ? {} : object(value);
  if (wire === undefined) throw bad(`${parsed}invalid type: ${describe(value)}, expected struct KvRouterConfig`);
  const kept: Wire = {};
  for (const [name, member] of Object.entries(wire)) {
    if (name !== 'overlap_score_weight' && !legacy.includes(name) && byWire.get(name)?.[1].json !== true)
      throw bad(`${parsed}unknown field \`${name}\`, expected one of ${jsonMembers}`);
    if (name === 'durable_kv_events' && member === true) throw bad(`${parsed}durable_kv_events=true is not supported by this runtime`);
    if (!legacy.includes(name)) kept[name] = member;
  }
  try {
    return readSettings(kept);
  } catch (error) {
    throw DynamoError.is(error) ? bad(`${parsed}${error.message}`) : error;
  }
}

/** Members of the JSON form that are no settings of ours, and the member that each stands behind in the real list. */
const alsoInJson: Readonly<Record<string, readonly string[]>> = {
  decode_active_request_weight: ['overlap_score_weight'],
  use_kv_events: ['durable_kv_events'],
  router_prefill_load_model: ['router_snapshot_threshold', 'router_reset_states'],
  router_event_threads: ['skip_initial_worker_wait'],
};

const jsonMembers = entries
  .filter(([, { json }]) => json)
  .flatMap(([, { wire }]) => [wire, ...(alsoInJson[wire] ?? [])])
  .map((name) => `\`${name}\``)
  .join(', ');

const finite = (value: number): boolean => value >= 0 && value < Infinity;
const share = (value: number): boolean => value >= 0 && value <= 1;
const atLeast = (least: number) => (value: number) => value >= least;

/** Each number's range, in the order in which 1.6.1 looks at them. */
const ranges: readonly (readonly [keyof RouterSettings, (value: number) => boolean, string])[] = [
  ['overlapCredit', finite, 'must be a finite, non-negative number'],
  ['overlapCreditDecay', finite, 'must be finite and non-negative'],
  ['prefillLoadScale', finite, 'must be finite and non-negative'],
  ['activeRequestWeight', finite, 'must be finite and non-negative'],
  ['hostCacheWeight', share, 'must be between 0 and 1'],
  ['diskCacheWeight', share, 'must be between 0 and 1'],
  ['temperature', finite, 'must be finite and non-negative'],
  ['ttlSeconds', atLeast(0), 'must be greater than or equal to 0'],
  ['queueThreshold', atLeast(0), 'must be greater than or equal to 0'],
  ['eventThreads', atLeast(1), 'must be at least 1'],
  ['sharedCacheMultiplier', share, 'must be between 0 and 1'],
  ['predictedTtlSeconds', atLeast(0), 'must be greater than or equal to 0'],
  ['conditionalIslRatio', share, 'must be between 0 and 1'],
  ['conditionalPrefillBusy', atLeast(0), 'must be greater than or equal to 0'],
  ['conditionalDecodeBusy', atLeast(0), 'must be greater than or equal to 0'],
];

/** What does not go together, in the same order; the first that holds is the error. */
const conflicts: readonly (readonly [(settings: RouterSettings) => boolean, string])[] = [
  [
    ({ trackingHash: hash, trackingKeyFile: file }) => hash === 'keyed-xxh3-v1' && file === undefined,
    'keyed-xxh3-v1 requires router_tracking_key_file',
  ],
  [
    ({ trackingHash: hash, trackingKeyId: id }) => hash === 'keyed-xxh3-v1' && (id ?? '') === '',
    'keyed-xxh3-v1 requires a nonempty router_tracking_key_id',
  ],
  [
    ({ trackingHash: hash, trackingKeyFile: file, trackingKeyId: id }) => hash !== 'keyed-xxh3-v1' && (file !== undefined || id !== undefined),
    'router tracking key options require router_tracking_hash=keyed-xxh3-v1',
  ],
  [
    ({ trackOutputBlocks, trackActiveBlocks }) => trackOutputBlocks && !trackActiveBlocks,
    'router_track_output_blocks requires router_track_active_blocks=true',
  ],
  [
    ({ prefillLoadModel, trackPrefillTokens }) => prefillLoadModel !== 'none' && !trackPrefillTokens,
    'router_prefill_load_model requires router_track_prefill_tokens=true',
  ],
  [({ useRemoteIndexer, serveIndexer }) => useRemoteIndexer && serveIndexer, 'use_remote_indexer and serve_indexer are mutually exclusive'],
  [({ sessionPrefixIndex, kvEvents }) => sessionPrefixIndex && !kvEvents, 'enable_session_prefix_index requires use_kv_events=true'],
  [
    ({ sessionPrefixIndex, useRemoteIndexer }) => sessionPrefixIndex && useRemoteIndexer,
    'enable_session_prefix_index is not supported with use_remote_indexer=true',
  ],
  [({ predictedTtlSeconds, kvEvents }) => predictedTtlSeconds !== undefined && !kvEvents, 'router_predicted_ttl_secs requires use_kv_events=true'],
  [
    ({ approximatePolicy, kvEvents }) => approximatePolicy === 'lru' && kvEvents,
    'router_approximate_cache_policy=lru requires use_kv_events=false; the local side indexer is TTL-only',
  ],
];

/**
 * Checks settings against each other, and gives the load-aware conditional policies the queue's threshold where they
 * have none of their own.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1 and in its order.
 */
export function checkSettings(settings: RouterSettings): RouterSettings {
  for (const [name, fits, rule] of ranges) {
    const value = settings[name];
    if (typeof value === 'number' && !fits(value)) throw bad(`${settingNames[name].wire} ${rule}`);
  }
  for (const [holds, message] of conflicts) if (holds(settings)) throw bad(message);
  const { conditionalDisagg, conditionalPolicy: policy, conditionalPrefillBusy, queueThreshold } = settings;
  if (!conditionalDisagg || policy === 'isl_bounding' || conditionalPrefillBusy !== undefined) return settings;
  if (queueThreshold !== undefined) return { ...settings, conditionalPrefillBusy: queueThreshold };
  const shown = policy === 'prefill_load' ? 'PrefillLoad' : 'IslOrLoad';
  throw bad(
    `conditional_disagg policy=${shown} needs prefill_busy_threshold, but neither --router-conditional-disagg-config {"prefill_busy_threshold": ...} nor --router-queue-threshold is set`,
  );
}

/** A request's own wishes (`router_config_override`). 1.6.1 checks all of them and heeds the last two (spec kv-router 8). */
export interface RouterOverride {
  readonly overlapCredit?: number;
  readonly prefillLoadScale?: number;
  readonly temperature?: number;
  readonly sharedCacheMultiplier?: number;
  readonly assumeKvReuse?: boolean;
  readonly trackPrefillTokens?: boolean;
}

/**
 * Reads a request's override; unknown members are ignored, null counts as absent.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1.
 */
export function readOverride(value: unknown): RouterOverride {
  const wire = object(value) ?? {};
  const number = (name: string): number | undefined => {
    const member = wire[name];
    if (member === null || member === undefined) return undefined;
    if (typeof member !== 'number') throw bad(`${name} must be a number, got ${describe(member)}`);
    return member;
  };
  const flag = (name: string): boolean | undefined => {
    const member = wire[name];
    if (member === null || member === undefined) return undefined;
    if (typeof member !== 'boolean') throw bad(`${name} must be true or false, got ${describe(member)}`);
    return member;
  };
  const read = {
    overlapCredit: number('overlap_score_credit'),
    prefillLoadScale: number('overlap_score_weight') ?? number('prefill_load_scale'),
    temperature: number('router_temperature'),
    sharedCacheMultiplier: number('shared_cache_multiplier'),
    assumeKvReuse: flag('assume_kv_reuse'),
    trackPrefillTokens: flag('track_prefill_tokens'),
  };
  for (const [name, fits, rule] of ranges) {
    const member = (read as Record<string, unknown>)[name];
    if (typeof member === 'number' && !fits(member)) throw bad(`${settingNames[name].wire} ${rule}`);
  }
  return Object.fromEntries(Object.entries(read).filter(([, member]) => member !== undefined)) as RouterOverride;
}
