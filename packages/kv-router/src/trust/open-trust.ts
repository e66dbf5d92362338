import type { DistributedRuntime } from '@dynamo/runtime';
import type { EndpointName } from '@dynamo/runtime/internal';
import { trustMetrics } from './trust-metrics.ts';
import { type TrustParts, TrustTable } from './trust-table.ts';

/** Opens the trust table of a router's workers: its changes go to the log, its standings to the metrics, until it is disposed. */
export function openTrust(runtime: DistributedRuntime, name: EndpointName, parts: Omit<TrustParts, 'changed'>): TrustTable & Disposable {
  const { ranks } = parts;
  const table = new TrustTable({
    ...parts,
    changed: ({ rank, state, level }) => {
      const whose = ranks.has(rank) ? { worker: ranks.workerIdOf(rank), dpRank: ranks.dpRankOf(rank) } : {};
      runtime.log[state === 'live' ? 'info' : 'warn']({ ...whose, state, level }, "trust in a rank's events has changed");
    },
  });
  const shown = trustMetrics(runtime, name, { trust: table, ranks });
  return Object.assign(table, { [Symbol.dispose]: () => shown[Symbol.dispose]() });
}
