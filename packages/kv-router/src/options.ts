import { DynamoError } from '@dynamo/runtime';
import { type BusyThresholds, checkThresholds } from './load/overload-monitor.ts';
import { applyPolicy } from './policy-file/apply-policy.ts';
import { type PolicyProfile, singleClass } from './queue/policy-classes.ts';
import type { SelectorName } from './select/index.ts';
import type { RouteReceipt } from './select/receipt.ts';
import type { Selector } from './select/selector.ts';
import type { PolicyConfig } from './wire/policy-config.ts';
import { checkSettings } from './wire/read-settings.ts';
import { defaultSettings, type RouterSettings } from './wire/router-settings.ts';

/** How a router decides; everything but the block size has the default of the real router 1.6.1. */
export interface KvRouterOptions {
  /** Tokens of one KV block, as the workers count them. */
  blockSize: number;
  /** Where knowledge of the workers' caches comes from: their events, this router's own decisions, or nowhere. Default `events`. */
  index?: 'events' | 'approximate' | 'none';
  /** 0 takes the cheapest worker; more spreads requests over near ones. Default 0. */
  temperature?: number;
  /** What a cached block is worth beside one that must be read. Default 1. */
  overlapCredit?: number;
  /** How long a decision counts as cached; only with `index: 'approximate'`. Default 120 s. */
  approximate?: { ttlMs: number };
  /** Keeps requests back while every worker reads more than `threshold` of what it takes in a step. Off by default. */
  queue?: { policy?: 'fcfs' | 'lcfs' | 'wspt'; threshold?: number };
  /** Tells other routers of the same workers about requests. Default false. */
  replicaSync?: boolean;
  /** Another way to rank workers, by name or your own. */
  selector?: SelectorName | Selector;
  /** Refuses requests with `resource_exhausted` while all workers are beyond these. */
  overload?: BusyThresholds;
  /** Keeps a session on its worker. Off by default. */
  affinity?: { ttlMs: number; mode?: 'hard' | 'soft' };
  /**
   * What becomes of a worker whose cache events are missing, late or contradicted by its own answers: `act`, the default,
   * places by this router's own decisions in their place, then by load alone, and by events again once they are sound;
   * `watch` only tells; `off` believes every worker, as the real router does.
   */
  trust?: 'act' | 'watch' | 'off';
  /** Told why each request went where it went. Writing a receipt takes time for every candidate: leave it out where nobody reads it. */
  onRoute?: (receipt: RouteReceipt) => void;
  /**
   * Begins with what other routers of the same workers know (`peers`, who are also answered), or with a snapshot in `folder`
   * that is written at the end and every `saveMs`, 60 000 by default. What was missed since is asked of the workers. Off by default.
   */
  warmStart?: { peers?: boolean; folder?: string; saveMs?: number };
  /**
   * Writes hashes and decisions, never text, to a file of JSON lines, for `dynamo router what-if` and for replaying them. A
   * file ends after `maxLinesPerFile` lines, and the next one begins. Off by default.
   */
  record?: { path: string; maxLinesPerFile?: number };
  /** @internal Puts one line on each decision into its route, for the frontend's response header. */
  brief?: boolean;
  /** @internal Every other setting of the real router, for frontends and tools. */
  settings?: Partial<RouterSettings>;
  /** @internal Queues by policy class; takes the place of `queue`. */
  profile?: PolicyProfile;
  /** @internal A policy file that has been read; what it says wins over all other settings. Default: that of `settings.policyConfig`. */
  policies?: PolicyConfig;
  /** @internal Name of the model, for metrics. */
  model?: string;
  /** @internal What the workers do: a router of workers that only read prompts counts no running blocks. Default `aggregated`. */
  role?: RouterRole;
}

/** What the workers of a router do: all of a request, or one half of it. */
export type RouterRole = 'aggregated' | 'prefill' | 'decode';

/** The settings that options stand for. */
export interface ResolvedOptions {
  readonly blockSize: number;
  readonly settings: RouterSettings;
  readonly overload: BusyThresholds;
  readonly model: string;
  readonly role: RouterRole;
  readonly profile: PolicyProfile;
}

/**
 * Puts options and defaults together.
 *
 * @throws DynamoError `invalid_argument` in the words of 1.6.1 (spec kv-router 12), under the wire names of the settings.
 */
export function resolveOptions(options: KvRouterOptions): ResolvedOptions {
  if (!Number.isSafeInteger(options.blockSize) || options.blockSize < 0) {
    throw new DynamoError('invalid_argument', `kv_block_size must be a whole number, got ${options.blockSize}`);
  }
  if (options.blockSize === 0) throw new DynamoError('invalid_argument', 'kv_block_size cannot be 0');
  const index = options.index ?? 'events';
  const { queue, temperature, overlapCredit, replicaSync, approximate, overload = {} } = options;
  checkThresholds(overload);
  const { model = 'unknown', role = 'aggregated' } = options;
  const policy = options.policies === undefined ? undefined : applyPolicy(options.policies, { model, role });
  const settings = checkSettings({
    ...defaultSettings,
    ...options.settings,
    ...(options.index === undefined ? {} : { kvEvents: index === 'events' }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(overlapCredit === undefined ? {} : { overlapCredit }),
    ...(replicaSync === undefined ? {} : { replicaSync }),
    ...(approximate === undefined ? {} : { ttlSeconds: approximate.ttlMs / 1000 }),
    ...(queue?.policy === undefined ? {} : { queuePolicy: queue.policy }),
    ...(queue?.threshold === undefined ? {} : { queueThreshold: queue.threshold }),
    ...policy?.settings,
  });
  const profile = options.profile ?? policy?.profile ?? singleClass(settings.queuePolicy, settings.queueThreshold);
  return { blockSize: options.blockSize, settings, overload, model, role, profile };
}

/** What `--load-aware` sets, over whatever else is set (spec kv-router 12). */
export const loadAware: Partial<RouterSettings> = {
  overlapCredit: 0,
  kvEvents: false,
  trackActiveBlocks: true,
  assumeKvReuse: false,
  trackPrefillTokens: true,
  useRemoteIndexer: false,
  serveIndexer: false,
  sharedCacheMultiplier: 0,
  sharedCacheType: 'none',
};
