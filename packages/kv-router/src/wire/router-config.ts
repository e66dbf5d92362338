import { DynamoError, type PolicyName } from '@dynamo/runtime';
import { type BusyThresholds, checkThresholds } from '../load/overload-monitor.ts';
import { describe, object, type Wire } from './members.ts';
import { readSettingsJson } from './read-settings.ts';
import type { RouterSettings } from './router-settings.ts';

/** How a worker wants to be routed to, as its card says (spec llm 1.3, kv-router 12). */
export interface RouterConfig {
  readonly mode: PolicyName | 'kv';
  readonly settings: RouterSettings;
  readonly overload: BusyThresholds;
  readonly affinity?: { readonly ttlMs: number; readonly mode: 'hard' | 'soft' };
}

/** Modes as cards name them (spec kv-router 13). */
const modes: Readonly<Record<string, RouterConfig['mode']>> = {
  round_robin: 'round-robin',
  random: 'random',
  power_of_two_choices: 'power-of-two',
  k_v: 'kv',
  direct: 'direct',
  least_loaded: 'least-loaded',
  device_aware_weighted: 'device-aware-weighted',
};

/**
 * Reads the `router_config` of a card; members that are absent have their defaults.
 *
 * @throws DynamoError `invalid_argument` naming what is wrong.
 */
export function readRouterConfig(value: unknown): RouterConfig {
  const wire = object(value);
  if (wire === undefined) throw bad('router_config', 'a map', value);
  const { router_mode: name = 'round_robin', session_affinity_ttl_secs: ttl, session_affinity_mode: kind = 'hard' } = wire;
  const mode = typeof name === 'string' ? modes[name] : undefined;
  if (mode === undefined) throw bad('router_mode', `one of ${Object.keys(modes).join(', ')}`, name);
  if (kind !== 'hard' && kind !== 'soft') throw bad('session_affinity_mode', 'hard or soft', kind);
  if (ttl !== undefined && ttl !== null && !(typeof ttl === 'number' && ttl >= 1 && ttl <= 31_536_000))
    throw new DynamoError('invalid_argument', 'session_affinity_ttl_secs must be between 1 and 31536000');
  return {
    mode,
    settings: readSettingsJson(wire['kv_router_config'] ?? {}),
    overload: readThresholds(object(wire['load_threshold_config']) ?? {}),
    ...(typeof ttl === 'number' ? { affinity: { ttlMs: ttl * 1_000, mode: kind } } : {}),
  };
}

function readThresholds(wire: Wire): BusyThresholds {
  const number = (name: string): number | undefined => {
    const value = wire[name];
    if (value === undefined || value === null) return undefined;
    if (typeof value !== 'number') throw bad(name, 'a number', value);
    return value;
  };
  const read = {
    decodeBlocks: number('active_decode_blocks_threshold'),
    prefillTokens: number('active_prefill_tokens_threshold'),
    prefillFraction: number('active_prefill_tokens_threshold_frac'),
  };
  const thresholds = Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined)) as BusyThresholds;
  checkThresholds(thresholds);
  return thresholds;
}

const bad = (member: string, expected: string, got: unknown): DynamoError =>
  new DynamoError('invalid_argument', `${member} must be ${expected}, got ${describe(got)}`, { data: { member } });
