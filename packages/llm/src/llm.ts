import type { DistributedRuntime } from '@dynamo/runtime';
import type { Frontend, FrontendOptions } from './frontend/frontend.ts';
import { type ServedModel, serveModel, type ServeModelOptions } from './worker/serve-model.ts';

/** Models on a runtime: served by engines, and offered to clients. */
export class Llm {
  readonly #runtime: DistributedRuntime;

  constructor(runtime: DistributedRuntime) {
    this.#runtime = runtime;
  }

  /**
   * Serves an engine as a model: frontends, ours and the real one, find it by its card.
   *
   * @throws DynamoError `not_found` when the model folder or a file in it is missing.
   */
  serve(options: ServeModelOptions): Promise<ServedModel> {
    return serveModel(this.#runtime, options);
  }

  /**
   * Opens an OpenAI-style HTTP frontend for every model that discovery shows, now and later.
   *
   * @throws DynamoError `invalid_argument` when the port is in use or an option is out of range.
   */
  async frontend(options?: FrontendOptions): Promise<Frontend> {
    // A worker that serves no HTTP pays for none of it.
    const { openFrontend } = await import('./frontend/frontend.ts');
    return openFrontend(this.#runtime, options);
  }
}
