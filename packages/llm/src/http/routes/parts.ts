import type { Logger } from '@dynamo/runtime';
import type { Tracer } from '@dynamo/runtime/internal';
import type { FrontendMetrics } from '../../frontend/frontend-metrics.ts';
import type { MediaLoader } from '../../frontend/media-loader.ts';
import type { HttpSettings } from '../settings.ts';
import type { ModelDirectory } from '../../frontend/serving-model.ts';
import type { Access } from '../access.ts';
import type { ResponseStore } from '../responses/store.ts';
import type { RunningAnswers } from '../running.ts';

/** What the routes are made of. */
export interface RouteParts {
  readonly models: ModelDirectory;
  readonly metrics: FrontendMetrics;
  readonly log: Logger;
  /** Undefined where nothing is traced. */
  readonly tracer: Tracer | undefined;
  /** Who may ask what. */
  readonly access: Access;
  /** The answers that the server is at, and whether it drains. */
  readonly running: RunningAnswers;
  /** Status of a refusal for overload (spec llm 3.1); 529 by default. */
  readonly overloadStatus: number;
  /** Keeps the answers of `/v1/responses`; undefined where they are not kept. */
  readonly responses: ResponseStore | undefined;
  readonly http: HttpSettings;
  /** Decodes images for workers that ask for pixels. */
  readonly media: MediaLoader;
  /** Text of `/metrics`: that of all processes of the frontend. */
  readonly scrape: () => Promise<string>;
  /** JSON of `/health`. */
  readonly health: () => string;
}
