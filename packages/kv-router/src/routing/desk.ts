import type { ReplicaSync } from '../load/replica-sync.ts';
import type { RouterMetrics } from '../metrics/router-metrics.ts';
import type { RouteRecorder } from '../record/route-recorder.ts';
import type { SourceReport } from '../sources/kv-sources.ts';
import type { TrustTable } from '../trust/trust-table.ts';
import type { RoutingParts } from './routing-parts.ts';
import type { WorkerWatch } from './worker-watch.ts';

/** What the parts of one live router know of each other. Functions: some of it comes only when the router has joined the others. */
export interface Desk {
  readonly parts: RoutingParts;
  readonly recorder: RouteRecorder | undefined;
  /** Present where events are heard. */
  readonly trust: () => TrustTable | undefined;
  readonly replicas: () => ReplicaSync | undefined;
  readonly metrics: () => RouterMetrics;
  readonly watch: () => WorkerWatch;
  readonly sources: () => SourceReport[];
}
