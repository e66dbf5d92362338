import type { KvRouterOptions } from '@dynamo/kv-router';
import type { DistributedRuntime, PolicyName } from '@dynamo/runtime';
import { DynamoError } from '@dynamo/runtime';
import { speakingFor, tracerOf } from '@dynamo/runtime/internal';
import { openHttpServer } from '../http/server.ts';
import { FrontendMetrics } from './frontend-metrics.ts';
import { LiveInstances } from './live-instances.ts';
import { modelFileStore } from './model-files.ts';
import { ModelWatcher } from './model-watcher.ts';

/** How a frontend listens and what it serves; every member is optional. */
export interface FrontendOptions {
  /** Where it listens; default `0.0.0.0:8000`. Port 0 takes a free one. */
  http?: { host?: string; port?: number };
  /**
   * How workers are chosen; default `round-robin`. With `kv` the members of `KvRouterOptions` count, and `routeHeader` adds
   * the header `x-dynamo-route` to answers: worker, overlap, cost, and why. Default false.
   */
  router?: { mode?: PolicyName | 'kv'; routeHeader?: boolean } & Partial<KvRouterOptions>;
  /** How often a request may move to another worker when its own is lost; 0, the default, is never. */
  migrationLimit?: number;
  /** Longest request that may move, prompt and answer together, in tokens. No limit by default. */
  migrationMaxSequence?: number;
  /** Only the models of this namespace; all by default. */
  namespace?: string;
  /** Only the models of namespaces that begin with this; wins over `namespace`. */
  namespacePrefix?: string;
  /** Folder that stands in for model files which can't be read where their card says. */
  modelPath?: string;
  /** First part of every metric's name; default `dynamo_frontend`. */
  metricsPrefix?: string;
  /** Largest request body in MiB; default 45. */
  bodyLimitMb?: number;
  /** How long closing waits for running answers, in milliseconds; default 30 000. */
  drainMs?: number;
}

/** An HTTP frontend that serves every model that discovery shows. Disposing refuses new requests and drains the running ones. */
export interface Frontend extends AsyncDisposable {
  /** `http://host:port`. */
  readonly address: string;
  /** Names of the models that can be asked for now, aliases among them. */
  readonly models: readonly string[];
  /** Settles when the frontend has closed. */
  readonly closed: Promise<void>;
}

/** Opens a frontend on a runtime; it closes with the runtime. */
export async function openFrontend(runtime: DistributedRuntime, options: FrontendOptions = {}): Promise<Frontend> {
  const port = options.http?.port ?? 8000;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new DynamoError('invalid_argument', `http.port must be between 0 and 65535, got ${port}`, { data: { port } });
  await using undo = new AsyncDisposableStack();
  const metrics = undo.use(
    new FrontendMetrics({
      beside: runtime.metrics,
      migrationLimit: options.migrationLimit ?? 0,
      ...(options.metricsPrefix === undefined ? {} : { prefix: options.metricsPrefix }),
    }),
  );
  const instances = undo.use(new LiveInstances(runtime));
  const models = undo.use(
    new ModelWatcher(
      {
        runtime,
        router: options.router ?? {},
        migration: {
          limit: options.migrationLimit ?? 0,
          ...(options.migrationMaxSequence === undefined ? {} : { maxSequence: options.migrationMaxSequence }),
        },
        onMove: (model, kind) => metrics.moved(model, kind),
        files: undo.use(modelFileStore(options.modelPath === undefined ? {} : { modelPath: options.modelPath })),
      },
      {
        filter: {
          ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
          ...(options.namespacePrefix === undefined ? {} : { namespacePrefix: options.namespacePrefix }),
        },
        events: { added: (card) => metrics.setModel(card), removed: (name) => metrics.removeModel(name) },
      },
    ),
  );
  const log = speakingFor(runtime.log, 'dynamo_llm');
  const parts = { models, metrics, log, tracer: tracerOf(runtime), health: () => instances.health() };
  const server = undo.use(
    await openHttpServer(parts, {
      host: options.http?.host ?? '0.0.0.0',
      port,
      bodyLimitMb: options.bodyLimitMb ?? 45,
      drainMs: options.drainMs ?? 30_000,
    }),
  );
  log.info({ address: server.address }, 'the frontend listens');
  return owned(runtime, { kept: undo.move(), address: server.address, models });
}

function owned(runtime: DistributedRuntime, parts: { kept: AsyncDisposableStack; address: string; models: ModelWatcher }): Frontend {
  const closed = Promise.withResolvers<void>();
  const close = async (): Promise<void> => {
    try {
      await parts.kept.disposeAsync();
    } finally {
      ownership[Symbol.dispose]();
      closed.resolve();
    }
  };
  let closing: Promise<void> | undefined;
  const frontend: Frontend = {
    address: parts.address,
    get models() {
      return parts.models.list().map(({ id }) => id);
    },
    closed: closed.promise,
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
  const ownership = runtime.own(frontend);
  return frontend;
}
