import { loadPolicyFile, resolveOptions } from '@dynamo/kv-router/internal';
import type { KvRouterOptions } from '@dynamo/kv-router';
import type { DistributedRuntime, PolicyName } from '@dynamo/runtime';
import { DynamoError } from '@dynamo/runtime';
import { speakingFor, tracerOf } from '@dynamo/runtime/internal';
import { ApiKeys } from '../access/api-keys.ts';
import { SharedSpending } from '../access/shared-spending.ts';
import { Access } from '../http/access.ts';
import { AdminRelay } from '../http/admin-relay.ts';
import { loadHttpTls } from '../http/tls.ts';
import { RunningAnswers } from '../http/running.ts';
import { openHttpServer } from '../http/server.ts';
import { defaultReaderMs } from '../http/sse.ts';
import { type HttpOptions, settleHttp } from '../http/settings.ts';
import { FrontendMetrics } from './frontend-metrics.ts';
import { LiveInstances } from './live-instances.ts';
import type { Siblings } from './siblings.ts';
import { modelFileStore } from './model-files.ts';
import { ModelWatcher } from './model-watcher.ts';

/** How a frontend listens and what it serves; every member is optional. */
export interface FrontendOptions {
  /** Where it listens; default `0.0.0.0:8000`. Port 0 takes a free one. With `reusePort` several processes listen on one port. */
  http?: { host?: string; port?: number; reusePort?: boolean; tls?: { certPath?: string; keyPath?: string; clientCaPath?: string } } & HttpOptions;
  /**
   * Who may ask. With `keysPath` every route but `/live` and `/health` needs a key of that file, which is read again when it changes.
   * `admin` says to whom `/busy_threshold` is open: to keys with admin rights (`guarded`, the default), or to everybody (`open`), as in 1.6.1.
   */
  access?: { keysPath?: string; admin?: 'guarded' | 'open' };
  /**
   * How workers are chosen; default `round-robin`. With `kv` the members of `KvRouterOptions` count, and `routeHeader` adds
   * the header `x-dynamo-route` to answers: worker, overlap, cost, and why. Default false. `overload` counts in every mode, and
   * `POST /busy_threshold` changes it; so does `affinity`, which keeps sessions on their workers, and `minWorkers`, how many
   * workers a model must have before it is offered.
   */
  router?: { mode?: PolicyName | 'kv'; routeHeader?: boolean; minWorkers?: number } & Partial<KvRouterOptions>;
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
  /** Limits on what clients and workers may take; what passes one is refused or ended, and told which limit it was. */
  limits?: FrontendLimits;
  /** How long closing waits for running answers, in milliseconds; default 30 000. What runs longer ends in an error. */
  drainMs?: number;
}

/** Limits of a frontend; times are in milliseconds. */
export interface FrontendLimits {
  /** Requests that are answered at once; no limit by default. */
  concurrent?: number;
  /** Requests that may wait for their turn while `concurrent` are answered; as many by default. */
  queued?: number;
  /** How long one may wait for its turn; default 60 000. */
  queueMs?: number;
  /** Bodies of all running requests together, in MiB; default 1 024. */
  bodiesMb?: number;
  /** How long a client may take to send a request; default 120 000. */
  requestMs?: number;
  /** How long a client may take no byte of its answer; default 120 000. */
  readerMs?: number;
  /** Longest wait for a worker's first item; `idleMs` by default. */
  firstItemMs?: number;
  /** Longest wait for any item of a worker; no limit by default. */
  idleMs?: number;
  /** Status of a refusal for overload; default 529. */
  overloadStatus?: number;
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
export async function openFrontend(runtime: DistributedRuntime, options: FrontendOptions = {}, siblings?: Siblings): Promise<Frontend> {
  const port = options.http?.port ?? 8000;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new DynamoError('invalid_argument', `http.port must be between 0 and 65535, got ${port}`, { data: { port } });
  const http = settleHttp(options.http);
  await using undo = new AsyncDisposableStack();
  const metrics = undo.use(
    new FrontendMetrics({
      beside: runtime.metrics,
      migrationLimit: options.migrationLimit ?? 0,
      ...(options.metricsPrefix === undefined ? {} : { prefix: options.metricsPrefix }),
    }),
  );
  const instances = undo.use(new LiveInstances(runtime));
  const limits = options.limits ?? {};
  checkLimits(limits);
  const router = await checkedRouter(options.router ?? {});
  const models = undo.use(
    new ModelWatcher(
      {
        runtime,
        router,
        migration: {
          limit: options.migrationLimit ?? 0,
          ...(options.migrationMaxSequence === undefined ? {} : { maxSequence: options.migrationMaxSequence }),
        },
        patience: limits,
        onMove: (model, kind) => metrics.moved(model, kind),
        files: undo.use(modelFileStore(options.modelPath === undefined ? {} : { modelPath: options.modelPath })),
      },
      {
        filter: {
          ...(options.namespace === undefined ? {} : { namespace: options.namespace }),
          ...(options.namespacePrefix === undefined ? {} : { namespacePrefix: options.namespacePrefix }),
        },
        ...(options.router?.overload === undefined ? {} : { overload: options.router.overload }),
        events: { added: (card) => metrics.setModel(card), removed: (name) => metrics.removeModel(name) },
      },
    ),
  );
  const log = speakingFor(runtime.log, 'dynamo_llm');
  const tls = await loadHttpTls(options.http?.tls ?? {});
  const { keysPath, admin = 'guarded' } = options.access ?? {};
  const keys = keysPath === undefined ? undefined : undo.use(await ApiKeys.open({ path: keysPath, log, now: () => performance.now() }));
  if (keys !== undefined && siblings !== undefined) undo.use(new SharedSpending(keys, siblings));
  if (siblings !== undefined) undo.use(siblings.onScrape(() => metrics.text()));
  const relay = siblings === undefined ? undefined : new AdminRelay(siblings);
  const parts = {
    models,
    metrics,
    log,
    http,
    tracer: tracerOf(runtime),
    access: new Access({ keys, admin, relay, open: [http.paths.live, http.paths.health] }),
    running: new RunningAnswers(limits.readerMs ?? defaultReaderMs),
    overloadStatus: limits.overloadStatus ?? 529,
    scrape: () => (siblings === undefined ? metrics.text() : siblings.metrics()),
    health: () => instances.health(),
  };
  const server = undo.use(
    await openHttpServer(parts, {
      host: options.http?.host ?? '0.0.0.0',
      port,
      reusePort: options.http?.reusePort ?? false,
      tls,
      bodyLimitMb: options.bodyLimitMb ?? 45,
      bodiesLimitMb: limits.bodiesMb ?? 1_024,
      requestMs: limits.requestMs ?? 120_000,
      gate:
        limits.concurrent === undefined
          ? undefined
          : { concurrent: limits.concurrent, queued: limits.queued ?? limits.concurrent, queueMs: limits.queueMs ?? 60_000 },
      drainMs: options.drainMs ?? 30_000,
    }),
  );
  log.info({ address: server.address }, 'the frontend listens');
  return owned(runtime, { kept: undo.move(), address: server.address, models });
}

/** Says what is wrong with the router's options before any worker comes, and reads the policy file once for all of them. */
async function checkedRouter(router: NonNullable<FrontendOptions['router']>): Promise<NonNullable<FrontendOptions['router']>> {
  const file = router.policies === undefined ? router.settings?.policyConfig : undefined;
  const read = file === undefined ? router : { ...router, policies: await loadPolicyFile(file) };
  resolveOptions({ ...read, blockSize: router.blockSize ?? 1 });
  return read;
}

/** Smallest value of each limit. */
const leastLimits: Readonly<Record<keyof FrontendLimits, number>> = {
  concurrent: 1,
  queued: 0,
  queueMs: 1,
  bodiesMb: 1,
  requestMs: 1,
  readerMs: 1,
  firstItemMs: 1,
  idleMs: 1,
  overloadStatus: 400,
};

function checkLimits(limits: FrontendLimits): void {
  for (const [name, least] of Object.entries(leastLimits) as [keyof FrontendLimits, number][]) {
    const value = limits[name];
    const most = name === 'overloadStatus' ? 599 : 2 ** 31 - 1;
    if (value !== undefined && !(Number.isInteger(value) && value >= least && value <= most))
      throw new DynamoError('invalid_argument', `limits.${name} must be a whole number from ${least} to ${most}, got ${value}`, { data: { value } });
  }
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
