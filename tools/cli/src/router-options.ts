import { loadAware, readConditionalSettings, type RouterSettings } from '@dynamo/kv-router/internal';
import type { KvRouterOptions } from '@dynamo/kv-router';
import type { FrontendOptions } from '@dynamo/llm';
import type { Settings } from './settings.ts';

/** What the flags say to a KV router; the load-aware preset wins over all of them (spec kv-router 12). */
export function routerSettings({ router }: Settings): Partial<RouterSettings> {
  return {
    ...router.settings,
    ...(router.conditional === undefined ? {} : readConditionalSettings(router.conditional)),
    ...(router.loadAware ? loadAware : {}),
  };
}

/** What the flags say of what the real router does not have. */
export function beyondOptions({ router: { beyond } }: Settings): Pick<KvRouterOptions, 'trust' | 'warmStart' | 'record'> {
  const { trust, warmPeers, warmFolder, record } = beyond;
  return {
    trust,
    ...(warmPeers || warmFolder !== undefined
      ? { warmStart: { peers: warmPeers, ...(warmFolder === undefined ? {} : { folder: warmFolder }) } }
      : {}),
    ...(record === undefined ? {} : { record: { path: record } }),
  };
}

/** How a frontend chooses workers. */
export function routerOptions(settings: Settings): NonNullable<FrontendOptions['router']> {
  const { frontend, router } = settings;
  const { affinity, blockSize } = router;
  const { overload } = frontend.router;
  return {
    mode: router.loadAware ? 'kv' : frontend.router.mode,
    settings: routerSettings(settings),
    ...beyondOptions(settings),
    ...(router.beyond.routeHeader ? { routeHeader: true } : {}),
    ...(blockSize === undefined ? {} : { blockSize }),
    ...(overload === undefined ? {} : { overload }),
    ...(router.minWorkers === 0 ? {} : { minWorkers: router.minWorkers }),
    ...(affinity.ttlSeconds === undefined ? {} : { affinity: { ttlMs: affinity.ttlSeconds * 1_000, mode: affinity.mode } }),
  };
}
