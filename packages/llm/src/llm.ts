import type { DistributedRuntime } from '@dynamo/runtime';
import type { Frontend, FrontendOptions } from './frontend/frontend.ts';
import type { Engine } from './worker/engine.ts';
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
  serve(options: Omit<ServeModelOptions, 'engine'> & { engine: Engine }): Promise<ServedModel>;
  /** The same with an engine of tensors, or of the wire's own requests. */
  serve(options: ServeModelOptions): Promise<ServedModel>;
  serve(options: ServeModelOptions): Promise<ServedModel> {
    return serveModel(this.#runtime, options);
  }

  /**
   * Finds a model's files and gives their folder: a folder as it is; else, for `owner/name` or `owner/name@revision`, the cache that
   * Python's `huggingface_hub` keeps, filled from the hub with what is missing (`HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`,
   * `HF_HUB_OFFLINE` count). Weights only with `weights`. An attempt that was cut off goes on where it ended.
   *
   * @throws DynamoError `not_found`, `unauthenticated`, `permission_denied`, `unavailable` (offline and not in the cache),
   * `cannot_connect`, `disconnected` or `resource_exhausted` (the disk is full).
   */
  async fetchModel(
    source: string,
    options?: {
      weights?: boolean;
      signal?: AbortSignal;
      /** Told of the bytes of all files that are here, out of how many, and which file came last. */
      onProgress?: (progress: { readonly file: string; readonly receivedBytes: number; readonly totalBytes: number }) => void;
    },
  ): Promise<string> {
    const { fetchModel, hubPlace } = await import('./hub/index.ts');
    return fetchModel(source, hubPlace(process.env), options);
  }

  /**
   * Opens an OpenAI-style HTTP frontend for every model that discovery shows, now and later.
   *
   * @throws DynamoError `invalid_argument` when the port is in use or an option is out of range.
   */
  frontend(
    options: Omit<FrontendOptions, 'engine'> & { engine: Omit<NonNullable<FrontendOptions['engine']>, 'run'> & { run: Engine } },
  ): Promise<Frontend>;
  /** Opens one over workers, or around an engine of any kind. */
  frontend(options?: FrontendOptions): Promise<Frontend>;
  async frontend(options?: FrontendOptions): Promise<Frontend> {
    // A worker that serves no HTTP pays for none of it.
    const { openFrontend } = await import('./frontend/frontend.ts');
    return openFrontend(this.#runtime, options);
  }
}
