import { DynamoError } from '@dynamo/runtime';
import { describe, object, type Wire } from './members.ts';

/** Every setting of 1.6.1's `KvRouterConfig` (spec kv-router 12); absent ones are off. */
export interface RouterSettings {
  readonly overlapCredit: number;
  readonly overlapCreditDecay: number;
  readonly prefillLoadScale: number;
  readonly activeRequestWeight: number;
  readonly hostCacheWeight: number;
  readonly diskCacheWeight: number;
  readonly temperature: number;
  readonly kvEvents: boolean;
  readonly replicaSync: boolean;
  readonly trackActiveBlocks: boolean;
  readonly trackOutputBlocks: boolean;
  readonly assumeKvReuse: boolean;
  readonly trackPrefillTokens: boolean;
  readonly trackingHash: 'public-xxh3-v1' | 'keyed-xxh3-v1';
  readonly trackingKeyFile?: string;
  readonly trackingKeyId?: string;
  readonly prefillLoadModel: 'none' | 'ais';
  readonly ttlSeconds: number;
  readonly approximatePolicy: 'ttl' | 'lru';
  readonly queueThreshold?: number;
  readonly queuePolicy: 'fcfs' | 'lcfs' | 'wspt';
  readonly eventThreads: number;
  readonly useRemoteIndexer: boolean;
  readonly serveIndexer: boolean;
  readonly sessionPrefixIndex: boolean;
  readonly sharedCacheMultiplier?: number;
  readonly sharedCacheType: 'none' | 'hicache';
  readonly predictedTtlSeconds?: number;
  readonly conditionalDisagg: boolean;
  readonly conditionalPolicy: 'isl_bounding' | 'prefill_load' | 'isl_or_load';
  readonly conditionalIslThreshold: number;
  readonly conditionalIslRatio: number;
  readonly conditionalPrefillBusy?: number;
  readonly conditionalDecodeBusy?: number;
  readonly policyConfig?: string;
  readonly prefillSelector?: string;
  readonly decodeSelector?: string;
}

/** How one setting is written elsewhere. */
export interface SettingName {
  readonly wire: string;
  /** The flag of the real frontend and router; switches also have a `--no-` form. */
  readonly flag?: string;
  /** Its environment variable. */
  readonly env?: string;
  /** Whether the JSON form knows it. */
  readonly json: boolean;
  readonly type: 'number' | 'count' | 'switch' | 'text' | readonly string[];
}

const setting = (wire: string, type: SettingName['type'], names: { flag?: string; env?: string; json?: boolean } = {}): SettingName => ({
  wire,
  type,
  json: names.json ?? true,
  ...(names.flag === undefined ? {} : { flag: `--${names.flag}` }),
  ...(names.env === undefined ? {} : { env: `DYN_${names.env}` }),
});

/** The names of every setting, in the order in which 1.6.1 lists them. */
export const settingNames: { readonly [K in keyof RouterSettings]-?: SettingName } = {
  overlapCredit: setting('overlap_score_credit', 'number', { flag: 'router-kv-overlap-score-credit', env: 'ROUTER_KV_OVERLAP_SCORE_CREDIT' }),
  overlapCreditDecay: setting('overlap_score_credit_decay', 'number', {
    flag: 'router-kv-overlap-score-credit-decay',
    env: 'ROUTER_KV_OVERLAP_SCORE_CREDIT_DECAY',
  }),
  prefillLoadScale: setting('prefill_load_scale', 'number', { flag: 'router-prefill-load-scale', env: 'ROUTER_PREFILL_LOAD_SCALE' }),
  activeRequestWeight: setting('decode_active_request_weight', 'number', {
    flag: 'router-decode-active-request-weight',
    env: 'ROUTER_DECODE_ACTIVE_REQUEST_WEIGHT',
  }),
  hostCacheWeight: setting('host_cache_hit_weight', 'number', { flag: 'router-host-cache-hit-weight', env: 'ROUTER_HOST_CACHE_HIT_WEIGHT' }),
  diskCacheWeight: setting('disk_cache_hit_weight', 'number', { flag: 'router-disk-cache-hit-weight', env: 'ROUTER_DISK_CACHE_HIT_WEIGHT' }),
  temperature: setting('router_temperature', 'number', { flag: 'router-temperature', env: 'ROUTER_TEMPERATURE' }),
  kvEvents: setting('use_kv_events', 'switch', { flag: 'router-kv-events', env: 'ROUTER_USE_KV_EVENTS' }),
  replicaSync: setting('router_replica_sync', 'switch', { flag: 'router-replica-sync', env: 'ROUTER_REPLICA_SYNC' }),
  trackActiveBlocks: setting('router_track_active_blocks', 'switch', { flag: 'router-track-active-blocks', env: 'ROUTER_TRACK_ACTIVE_BLOCKS' }),
  trackOutputBlocks: setting('router_track_output_blocks', 'switch', { flag: 'router-track-output-blocks', env: 'ROUTER_TRACK_OUTPUT_BLOCKS' }),
  assumeKvReuse: setting('router_assume_kv_reuse', 'switch', { flag: 'router-assume-kv-reuse', env: 'ROUTER_ASSUME_KV_REUSE' }),
  trackPrefillTokens: setting('router_track_prefill_tokens', 'switch', { flag: 'router-track-prefill-tokens', env: 'ROUTER_TRACK_PREFILL_TOKENS' }),
  trackingHash: setting('router_tracking_hash', ['public-xxh3-v1', 'keyed-xxh3-v1'], { flag: 'router-tracking-hash', env: 'ROUTER_TRACKING_HASH' }),
  trackingKeyFile: setting('router_tracking_key_file', 'text', { flag: 'router-tracking-key-file', env: 'ROUTER_TRACKING_KEY_FILE' }),
  trackingKeyId: setting('router_tracking_key_id', 'text', { flag: 'router-tracking-key-id', env: 'ROUTER_TRACKING_KEY_ID' }),
  prefillLoadModel: setting('router_prefill_load_model', ['none', 'ais'], { flag: 'router-prefill-load-model', env: 'ROUTER_PREFILL_LOAD_MODEL' }),
  ttlSeconds: setting('router_ttl_secs', 'number', { flag: 'router-ttl-secs', env: 'ROUTER_TTL_SECS' }),
  approximatePolicy: setting('router_approximate_cache_policy', ['ttl', 'lru'], {
    flag: 'router-approximate-cache-policy',
    env: 'ROUTER_APPROXIMATE_CACHE_POLICY',
    json: false,
  }),
  queueThreshold: setting('router_queue_threshold', 'number', { flag: 'router-queue-threshold', env: 'ROUTER_QUEUE_THRESHOLD' }),
  policyConfig: setting('router_policy_config', 'text', { flag: 'router-policy-config', env: 'ROUTER_POLICY_CONFIG' }),
  eventThreads: setting('router_event_threads', 'count', { flag: 'router-event-threads', env: 'ROUTER_EVENT_THREADS' }),
  queuePolicy: setting('router_queue_policy', ['fcfs', 'lcfs', 'wspt'], { flag: 'router-queue-policy', env: 'ROUTER_QUEUE_POLICY' }),
  useRemoteIndexer: setting('use_remote_indexer', 'switch', { flag: 'use-remote-indexer', env: 'USE_REMOTE_INDEXER' }),
  serveIndexer: setting('serve_indexer', 'switch', { flag: 'serve-indexer', env: 'SERVE_INDEXER' }),
  sessionPrefixIndex: setting('enable_session_prefix_index', 'switch', { flag: 'enable-session-prefix-index', env: 'ENABLE_SESSION_PREFIX_INDEX' }),
  sharedCacheMultiplier: setting('shared_cache_multiplier', 'number', { flag: 'shared-cache-multiplier', env: 'SHARED_CACHE_MULTIPLIER' }),
  sharedCacheType: setting('shared_cache_type', ['none', 'hicache'], { flag: 'shared-cache-type', env: 'SHARED_CACHE_TYPE' }),
  predictedTtlSeconds: setting('router_predicted_ttl_secs', 'number', { flag: 'router-predicted-ttl-secs', env: 'ROUTER_PREDICTED_TTL_SECS' }),
  conditionalDisagg: setting('conditional_disagg_enabled', 'switch', { flag: 'router-conditional-disagg', env: 'ROUTER_CONDITIONAL_DISAGG' }),
  conditionalPolicy: setting('conditional_disagg_policy', ['isl_bounding', 'prefill_load', 'isl_or_load']),
  conditionalIslThreshold: setting('conditional_disagg_eff_isl_threshold', 'count'),
  conditionalIslRatio: setting('conditional_disagg_eff_isl_ratio_threshold', 'number'),
  conditionalPrefillBusy: setting('conditional_disagg_prefill_busy_threshold', 'number'),
  conditionalDecodeBusy: setting('conditional_disagg_decode_busy_threshold', 'number'),
  prefillSelector: setting('router_prefill_policy', 'text', { flag: 'router-prefill-policy', env: 'ROUTER_PREFILL_POLICY', json: false }),
  decodeSelector: setting('router_decode_policy', 'text', { flag: 'router-decode-policy', env: 'ROUTER_DECODE_POLICY', json: false }),
};

/** What 1.6.1 does where nothing is set. */
export const defaultSettings: RouterSettings = {
  overlapCredit: 1,
  overlapCreditDecay: 0,
  prefillLoadScale: 1,
  activeRequestWeight: 0,
  hostCacheWeight: 0.75,
  diskCacheWeight: 0.25,
  temperature: 0,
  kvEvents: true,
  replicaSync: false,
  trackActiveBlocks: true,
  trackOutputBlocks: false,
  assumeKvReuse: true,
  trackPrefillTokens: true,
  trackingHash: 'public-xxh3-v1',
  prefillLoadModel: 'none',
  ttlSeconds: 120,
  approximatePolicy: 'ttl',
  queuePolicy: 'fcfs',
  eventThreads: 4,
  useRemoteIndexer: false,
  serveIndexer: false,
  sessionPrefixIndex: false,
  sharedCacheType: 'none',
  conditionalDisagg: false,
  conditionalPolicy: 'isl_bounding',
  conditionalIslThreshold: 2048,
  conditionalIslRatio: 0.7,
};

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
