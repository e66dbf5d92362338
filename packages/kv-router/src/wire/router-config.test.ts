import { expect, test } from 'vitest';
import { readRouterConfig } from './router-config.ts';

test("a card's router configuration is read", () => {
  const read = readRouterConfig({
    router_mode: 'k_v',
    kv_router_config: { overlap_score_credit: 0.5, use_kv_events: false },
    load_threshold_config: { active_decode_blocks_threshold: 0.9, active_prefill_tokens_threshold: null },
    enforce_disagg: false,
    session_affinity_ttl_secs: 4,
    session_affinity_mode: 'soft',
  });
  expect(read).toMatchObject({ mode: 'kv', settings: { overlapCredit: 0.5, kvEvents: false }, overload: { decodeBlocks: 0.9 } });
  expect(read.affinity).toEqual({ ttlMs: 4_000, mode: 'soft' });
  expect(readRouterConfig({ router_mode: 'power_of_two_choices', session_affinity_ttl_secs: null })).toMatchObject({
    mode: 'power-of-two',
    overload: {},
  });
});

test.each([
  [7, 'router_config must be a map'],
  [{ router_mode: 'kv' }, 'router_mode must be one of round_robin'],
  [{ session_affinity_mode: 'firm' }, 'session_affinity_mode must be hard or soft'],
  [{ session_affinity_ttl_secs: 0 }, 'session_affinity_ttl_secs must be between 1 and 31536000'],
  [{ kv_router_config: { nope: 1 } }, 'Failed to parse KvRouterConfig JSON: unknown field `nope`'],
  [{ load_threshold_config: { active_decode_blocks_threshold: 2 } }, 'active_decode_blocks_threshold must be between 0.0 and 1.0, got 2.0'],
  [{ load_threshold_config: { active_prefill_tokens_threshold: 'x' } }, 'active_prefill_tokens_threshold must be a number'],
])('%j is none: %s', (value, message) => {
  expect(() => readRouterConfig(value)).toThrow(expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(message) }));
});
