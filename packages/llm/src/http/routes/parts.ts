import type { Logger } from '@dynamo/runtime';
import type { Tracer } from '@dynamo/runtime/internal';
import type { FrontendMetrics } from '../../frontend/frontend-metrics.ts';
import type { ModelDirectory } from '../../frontend/serving-model.ts';

/** What the routes are made of. */
export interface RouteParts {
  readonly models: ModelDirectory;
  readonly metrics: FrontendMetrics;
  readonly log: Logger;
  /** Undefined where nothing is traced. */
  readonly tracer: Tracer | undefined;
  /** JSON of `/health`. */
  readonly health: () => string;
}
