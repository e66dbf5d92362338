import { singleClass } from './queue/policy-classes.ts';
import { expect, test } from 'vitest';
import { loadAware, resolveOptions } from './options.ts';
import { readOverride, readSettings, readSettingsJson } from './wire/read-settings.ts';
import { defaultSettings, settingNames } from './wire/router-settings.ts';

// Every text was taken from the running 1.6.1, in the order in which it looks.
const refused: [Record<string, unknown>, string][] = [
  [{ router_tracking_hash: 'x' }, 'router_tracking_hash must be public-xxh3-v1 or keyed-xxh3-v1, got "x"'],
  [{ router_prefill_load_model: 'x' }, `unknown prefill load model: "x", expected 'none' or 'ais'`],
  [{ router_approximate_cache_policy: 'x' }, `unknown approximate cache policy "x", expected 'ttl' or 'lru'`],
  [{ router_queue_policy: 'x' }, `unknown queue policy: "x", expected 'fcfs', 'lcfs', or 'wspt'`],
  [{ shared_cache_type: 'x' }, `unknown shared_cache_type: "x", expected 'none' or 'hicache'`],
  [{ conditional_disagg_policy: 'x' }, `unknown conditional_disagg_policy: "x", expected 'isl_bounding', 'prefill_load', or 'isl_or_load'`],
  [{ overlap_score_credit: Infinity }, 'overlap_score_credit must be a finite, non-negative number'],
  [{ overlap_score_credit_decay: -1 }, 'overlap_score_credit_decay must be finite and non-negative'],
  [{ prefill_load_scale: NaN }, 'prefill_load_scale must be finite and non-negative'],
  [{ overlap_score_weight: -1 }, 'prefill_load_scale must be finite and non-negative'],
  [{ decode_active_request_weight: -1 }, 'decode_active_request_weight must be finite and non-negative'],
  [{ host_cache_hit_weight: 1.5 }, 'host_cache_hit_weight must be between 0 and 1'],
  [{ disk_cache_hit_weight: -1 }, 'disk_cache_hit_weight must be between 0 and 1'],
  [{ router_temperature: Infinity }, 'router_temperature must be finite and non-negative'],
  [{ router_ttl_secs: NaN }, 'router_ttl_secs must be greater than or equal to 0'],
  [{ router_queue_threshold: -1 }, 'router_queue_threshold must be greater than or equal to 0'],
  [{ router_event_threads: 0 }, 'router_event_threads must be at least 1'],
  [{ shared_cache_multiplier: 1.5 }, 'shared_cache_multiplier must be between 0 and 1'],
  [{ router_predicted_ttl_secs: -1 }, 'router_predicted_ttl_secs must be greater than or equal to 0'],
  [{ conditional_disagg_eff_isl_ratio_threshold: 1.5 }, 'conditional_disagg_eff_isl_ratio_threshold must be between 0 and 1'],
  [{ conditional_disagg_prefill_busy_threshold: -1 }, 'conditional_disagg_prefill_busy_threshold must be greater than or equal to 0'],
  [{ conditional_disagg_decode_busy_threshold: NaN }, 'conditional_disagg_decode_busy_threshold must be greater than or equal to 0'],
  [{ router_tracking_hash: 'keyed-xxh3-v1' }, 'keyed-xxh3-v1 requires router_tracking_key_file'],
  [{ router_tracking_hash: 'keyed-xxh3-v1', router_tracking_key_file: '/k' }, 'keyed-xxh3-v1 requires a nonempty router_tracking_key_id'],
  [{ router_tracking_key_id: 'x' }, 'router tracking key options require router_tracking_hash=keyed-xxh3-v1'],
  [{ router_track_output_blocks: true, router_track_active_blocks: false }, 'router_track_output_blocks requires router_track_active_blocks=true'],
  [{ router_prefill_load_model: 'aic', router_track_prefill_tokens: false }, 'router_prefill_load_model requires router_track_prefill_tokens=true'],
  [{ use_remote_indexer: true, serve_indexer: true }, 'use_remote_indexer and serve_indexer are mutually exclusive'],
  [{ enable_session_prefix_index: true, use_kv_events: false }, 'enable_session_prefix_index requires use_kv_events=true'],
  [{ enable_session_prefix_index: true, use_remote_indexer: true }, 'enable_session_prefix_index is not supported with use_remote_indexer=true'],
  [{ router_predicted_ttl_secs: 1, use_kv_events: false }, 'router_predicted_ttl_secs requires use_kv_events=true'],
  [
    { router_approximate_cache_policy: 'lru' },
    'router_approximate_cache_policy=lru requires use_kv_events=false; the local side indexer is TTL-only',
  ],
  [
    { conditional_disagg_enabled: true, conditional_disagg_policy: 'prefill_load' },
    'conditional_disagg policy=PrefillLoad needs prefill_busy_threshold, but neither --router-conditional-disagg-config {"prefill_busy_threshold": ...} nor --router-queue-threshold is set',
  ],
];

test.each(refused)('%j is refused', (wire, message) => {
  expect(() => readSettings(wire)).toThrow(expect.objectContaining({ code: 'invalid_argument', message }));
});

test('of several faults the first in the order of the real router is told', () => {
  const all = Object.assign({}, ...refused.slice(6, 22).map(([wire]) => wire)) as Record<string, unknown>;
  expect(() => readSettings(all)).toThrow('overlap_score_credit must be');
  expect(() => readSettings({ router_temperature: -1, router_predicted_ttl_secs: 1, use_kv_events: false })).toThrow('router_temperature');
  expect(() => readSettings({ router_tracking_hash: 'keyed-xxh3-v1', use_remote_indexer: true, serve_indexer: true })).toThrow(
    'router_tracking_key_file',
  );
});

test('defaults, null and the deprecated weight', () => {
  expect(readSettings({})).toEqual(defaultSettings);
  expect(readSettings({ router_queue_threshold: null, router_ttl_secs: Infinity })).toEqual({ ...defaultSettings, ttlSeconds: Infinity });
  expect(readSettings({ overlap_score_weight: 2, prefill_load_scale: 3 })).toMatchObject({ prefillLoadScale: 2, overlapCredit: 1 });
  expect(readSettings({ overlap_score_weight: 0 })).toMatchObject({ prefillLoadScale: 0, overlapCredit: 0 });
  const inherits = { conditional_disagg_enabled: true, conditional_disagg_policy: 'isl_or_load', router_queue_threshold: 0.5 };
  expect(readSettings(inherits).conditionalPrefillBusy).toBe(0.5);
});

test('the JSON form refuses what it does not know and drops what is old', () => {
  expect(
    readSettingsJson({ router_snapshot_threshold: 1, router_reset_states: true, skip_initial_worker_wait: true, durable_kv_events: false }),
  ).toEqual(defaultSettings);
  expect(readSettingsJson([])).toEqual(defaultSettings);
  const known = `\`overlap_score_credit\`, \`overlap_score_credit_decay\`, \`prefill_load_scale\`, \`decode_active_request_weight\`, \`overlap_score_weight\`, \`host_cache_hit_weight\`, \`disk_cache_hit_weight\`, \`router_temperature\`, \`use_kv_events\`, \`durable_kv_events\`, \`router_replica_sync\`, \`router_track_active_blocks\`, \`router_track_output_blocks\`, \`router_assume_kv_reuse\`, \`router_track_prefill_tokens\`, \`router_tracking_hash\`, \`router_tracking_key_file\`, \`router_tracking_key_id\`, \`router_prefill_load_model\`, \`router_snapshot_threshold\`, \`router_reset_states\`, \`router_ttl_secs\`, \`router_queue_threshold\`, \`router_policy_config\`, \`router_event_threads\`, \`skip_initial_worker_wait\`, \`router_queue_policy\`, \`use_remote_indexer\`, \`serve_indexer\`, \`enable_session_prefix_index\`, \`shared_cache_multiplier\`, \`shared_cache_type\`, \`router_predicted_ttl_secs\`, \`conditional_disagg_enabled\`, \`conditional_disagg_policy\`, \`conditional_disagg_eff_isl_threshold\`, \`conditional_disagg_eff_isl_ratio_threshold\`, \`conditional_disagg_prefill_busy_threshold\`, \`conditional_disagg_decode_busy_threshold\``;
  expect(() => readSettingsJson({ x: 1 })).toThrow(`Failed to parse KvRouterConfig JSON: unknown field \`x\`, expected one of ${known}`);
  expect(() => readSettingsJson({ router_approximate_cache_policy: 'lru' })).toThrow('unknown field `router_approximate_cache_policy`');
  expect(() => readSettingsJson({ durable_kv_events: true })).toThrow(
    'Failed to parse KvRouterConfig JSON: durable_kv_events=true is not supported by this runtime',
  );
  expect(() => readSettingsJson({ router_temperature: -1 })).toThrow(
    'Failed to parse KvRouterConfig JSON: router_temperature must be finite and non-negative',
  );
});

test("a request's override is checked whole, though only two members have an effect", () => {
  expect(readOverride({ assume_kv_reuse: false, track_prefill_tokens: null, nope: 1 })).toEqual({ assumeKvReuse: false });
  expect(readOverride(undefined)).toEqual({});
  expect(readOverride({ overlap_score_credit: 0, router_temperature: null })).toEqual({ overlapCredit: 0 });
  const bad: [object, string][] = [
    [{ overlap_score_credit: -1 }, 'overlap_score_credit must be a finite, non-negative number'],
    [{ prefill_load_scale: -1 }, 'prefill_load_scale must be finite and non-negative'],
    [{ overlap_score_weight: -1 }, 'prefill_load_scale must be finite and non-negative'],
    [{ router_temperature: -1 }, 'router_temperature must be finite and non-negative'],
    [{ shared_cache_multiplier: 2 }, 'shared_cache_multiplier must be between 0 and 1'],
    [{ router_temperature: 'a' }, 'router_temperature must be a number, got "a"'],
    [{ assume_kv_reuse: 1 }, 'assume_kv_reuse must be true or false, got 1'],
  ];
  for (const [wire, message] of bad) expect(() => readOverride(wire)).toThrow(message);
});

test('options of the public door become settings', () => {
  expect(resolveOptions({ blockSize: 16 })).toEqual({
    blockSize: 16,
    model: 'unknown',
    role: 'aggregated',
    profile: singleClass('fcfs'),
    settings: defaultSettings,
    overload: {},
  });
  expect(
    resolveOptions({
      blockSize: 16,
      index: 'approximate',
      approximate: { ttlMs: 5000 },
      temperature: 0.5,
      overlapCredit: 2,
      replicaSync: true,
      queue: { policy: 'wspt', threshold: 2 },
    }).settings,
  ).toEqual({
    ...defaultSettings,
    kvEvents: false,
    ttlSeconds: 5,
    temperature: 0.5,
    overlapCredit: 2,
    replicaSync: true,
    queuePolicy: 'wspt',
    queueThreshold: 2,
  });
  expect(resolveOptions({ blockSize: 16, settings: loadAware }).settings).toMatchObject({ overlapCredit: 0, kvEvents: false, assumeKvReuse: false });
  expect(() => resolveOptions({ blockSize: 0 })).toThrow('kv_block_size cannot be 0');
  expect(() => resolveOptions({ blockSize: 1.5 })).toThrow('kv_block_size must be a whole number, got 1.5');
  expect(() => resolveOptions({ blockSize: 16, temperature: -1 })).toThrow('router_temperature must be finite and non-negative');
  expect(() => resolveOptions({ blockSize: 16, overload: { decodeBlocks: 2 } })).toThrow(
    'active_decode_blocks_threshold must be between 0.0 and 1.0, got 2.0',
  );
});

test('names are told once each', () => {
  const names = Object.values(settingNames);
  for (const pick of ['wire', 'flag', 'env'] as const) {
    const given = names.flatMap((name) => name[pick] ?? []);
    expect(new Set(given).size).toBe(given.length);
  }
});
