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
