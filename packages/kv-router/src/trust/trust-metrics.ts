import { labelValue } from '@dynamo/metrics/internal';
import type { DistributedRuntime } from '@dynamo/runtime';
import type { EndpointName } from '@dynamo/runtime/internal';
import type { Ranks } from '../ranks.ts';
import type { TrustState } from './rank-trust.ts';
import type { TrustTable } from './trust-table.ts';

const states: readonly TrustState[] = ['live', 'lagging', 'gapped', 'silent', 'untrusted'];
const levels = { load: 0, approximate: 1, exact: 2 } as const;

/** Shows how each rank's events are trusted, and how many ranks are in each state. Disposing takes the series away. */
export function trustMetrics(runtime: DistributedRuntime, name: EndpointName, parts: { trust: TrustTable; ranks: Ranks }): Disposable {
  const component = runtime.metrics.child({ dynamo_namespace: labelValue(name.namespace), dynamo_component: labelValue(name.component) });
  const labels = { routed_endpoint: name.endpoint };
  const ranks = component.gauge('router_trust_ranks', "Ranks by how well their cache events are heard and agree with their engine's answers", {
    labelNames: ['state'],
    labels,
  });
  const level = component.gauge('router_trust_level', "What placements go by: 2 the rank's events, 1 the router's own decisions, 0 its load alone", {
    labelNames: ['rank_worker', 'dp_rank'],
    labels,
  });
  const update = component.onScrape(() => {
    const counts = new Map<TrustState, number>(states.map((state) => [state, 0]));
    for (const standing of parts.trust.standings) {
      counts.set(standing.state, (counts.get(standing.state) ?? 0) + 1);
      if (!parts.ranks.has(standing.rank)) continue;
      const rank = { rank_worker: String(parts.ranks.workerIdOf(standing.rank)), dp_rank: String(parts.ranks.dpRankOf(standing.rank)) };
      level.with(rank).set(levels[standing.level]);
    }
    for (const [state, count] of counts) ranks.with({ state }).set(count);
  });
  return {
    [Symbol.dispose]: () => {
      update[Symbol.dispose]();
      component.remove(labels);
    },
  };
}
