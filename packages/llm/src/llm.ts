import type { DistributedRuntime, Served } from '@dynamo/runtime';
import { serveModel, type ServeModelOptions } from './worker/serve-model.ts';

/** Models on a runtime. */
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
  serve(options: ServeModelOptions): Promise<Served> {
    return serveModel(this.#runtime, options);
  }
}
