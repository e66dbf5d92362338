import { readRouterConfig } from '@dynamo/kv-router/internal';
import type { Logger } from '@dynamo/runtime';
import type { WireCard } from '../model/wire-card.ts';
import type { RouterOptions } from './worker-set.ts';

/** How the workers of a card are routed to: as the card itself says, else as the frontend does (spec kv-router 12). */
export function routingOf(card: WireCard, ours: RouterOptions, log: Logger): RouterOptions {
  const { router_config: config } = card;
  if (config === undefined || config === null) return ours;
  try {
    const { mode, settings, overload, affinity } = readRouterConfig(config);
    const { routeHeader, brief, minWorkers, blockSize, onRoute, warmStart, trust, record } = ours;
    const kept = { routeHeader, brief, minWorkers, blockSize, onRoute, warmStart, trust, record };
    const set = Object.fromEntries(Object.entries(kept).filter(([, value]) => value !== undefined));
    return { ...set, mode, settings, overload, ...(affinity === undefined ? {} : { affinity }) };
  } catch (error) {
    log.warn(
      { model: card.display_name, error: String(error) },
      "a worker's own router_config is unreadable: its workers are routed to as all others",
    );
    return ours;
  }
}
