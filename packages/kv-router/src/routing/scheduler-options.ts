import type { KvRouterOptions, ResolvedOptions } from '../options.ts';
import { selectors } from '../select/index.ts';
import type { SchedulerOptions } from '../select/scheduler.ts';

/** What the settings of a router mean to its scheduler. */
export function schedulerOptions({ settings, blockSize, role }: ResolvedOptions, { selector }: KvRouterOptions): SchedulerOptions {
  // A shared cache that is in use counts half where nothing else is said (spec kv-router 12).
  const shared = settings.sharedCacheMultiplier ?? (settings.sharedCacheType === 'none' ? undefined : 0.5);
  return {
    blockSize,
    temperature: settings.temperature,
    // Who only reads prompts carries no blocks for long (spec kv-router 18).
    trackActiveBlocks: settings.trackActiveBlocks && role !== 'prefill',
    assumeKvReuse: settings.assumeKvReuse,
    trackPrefillTokens: settings.trackPrefillTokens,
    selector: typeof selector === 'object' ? selector : selectors[selector ?? 'default'],
    weights: {
      role: role === 'prefill' ? 'prefill' : 'decode',
      overlapCredit: settings.overlapCredit,
      overlapCreditDecay: settings.overlapCreditDecay,
      prefillLoadScale: settings.prefillLoadScale,
      activeRequestWeight: settings.activeRequestWeight,
      hostWeight: settings.hostCacheWeight,
      diskWeight: settings.diskCacheWeight,
      ...(shared === undefined ? {} : { sharedMultiplier: shared }),
    },
  };
}
