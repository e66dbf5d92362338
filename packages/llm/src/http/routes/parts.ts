import type { Logger } from '@dynamo/runtime';
import type { FrontendMetrics } from '../../frontend/frontend-metrics.ts';
import type { ModelDirectory } from '../../frontend/serving-model.ts';

/** What the routes are made of. */
export interface RouteParts {
  readonly models: ModelDirectory;
  readonly metrics: FrontendMetrics;
  readonly log: Logger;
  /** JSON of `/health`. */
  readonly health: () => string;
}
