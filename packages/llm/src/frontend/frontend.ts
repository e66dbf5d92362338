import { MediaLoader } from './media-loader.ts';
import { loadPolicyFile, resolveOptions } from '@dynamo/kv-router/internal';
import type { KvRouterOptions } from '@dynamo/kv-router';
import type { CallOptions, DistributedRuntime, Handler, Logger, PolicyName } from '@dynamo/runtime';
import { DynamoError } from '@dynamo/runtime';
import { speakingFor, tracerOf } from '@dynamo/runtime/internal';
import { ApiKeys } from '../access/api-keys.ts';
import { SharedSpending } from '../access/shared-spending.ts';
import { Access } from '../http/access.ts';
import { AdminRelay } from '../http/admin-relay.ts';
import { loadHttpTls } from '../http/tls.ts';
import type { GateLimits } from '../http/gate.ts';
import type { RouteParts } from '../http/routes/parts.ts';
import { RunningAnswers } from '../http/running.ts';
import { type HttpServer, openHttpServer } from '../http/server.ts';
import { defaultReaderMs } from '../http/sse.ts';
import { openResponses } from '../http/responses/open-store.ts';
import { type HttpOptions, settleHttp } from '../http/settings.ts';
import type { CardOptions } from '../model/card.ts';
import type { Engine } from '../worker/engine.ts';
import type {
  ChatChunk,
  ChatRequest,
  CompletionChunk,
  CompletionRequest,
  EmbeddingRequest,
  EmbeddingResponse,
  InjectRequest,
  InjectResponse,
} from './calls.ts';
import type { Door } from '../grpc/open.ts';
import { EngineModel } from './engine-model.ts';
import { FrontendMetrics } from './frontend-metrics.ts';
import { LiveInstances } from './live-instances.ts';
import type { Siblings } from './siblings.ts';
import { type ModelFileStore, modelFileStore } from './model-files.ts';
import { ModelWatcher } from './model-watcher.ts';
import { ProgramCalls } from './program-calls.ts';
import type { ModelDirectory } from './serving-model.ts';

/** How a frontend listens and what it serves; every member is optional. */
export interface FrontendOptions {
  /** Where it listens; default `0.0.0.0:8000`. Port 0 takes a free one, and `false` none: then the program alone asks. With `reusePort` several processes listen on one port. */
  http?:
    | false
    | ({ host?: string; port?: number; reusePort?: boolean; tls?: { certPath?: string; keyPath?: string; clientCaPath?: string } } & HttpOptions);
  /**
   * A KServe v2 gRPC server beside the HTTP server, for models of completions and of tensors; none by default. Default address
   * `0.0.0.0:8787`; files of certificates are its own. What is set for requests elsewhere, such as keys and limits, counts for it too.
   */
  grpc?: false | { host?: string; port?: number; reusePort?: boolean; tls?: { certPath?: string; keyPath?: string; clientCaPath?: string } };
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
  /**
   * An engine in this very process, in place of workers that discovery shows: its model is ready when the frontend is. `model` is
   * its folder, `run` the engine, and the other members are those of `Llm.serve`.
   */
  engine?: { model: string; run: Engine | Handler<never, unknown> } & CardOptions;
  /**
   * Routes of the program's own, with plain paths. `answer` gives a value that is sent as JSON, or a `{ status, body }`; it is told
   * the query, headers and body, which models can be asked for, and whether the frontend drains.
   */
  routes?: readonly {
    path: string;
    method?: 'GET' | 'POST';
    answer(asked: {
      query: Readonly<Record<string, string | readonly string[] | undefined>>;
      headers: Readonly<Record<string, string | readonly string[] | undefined>>;
      body: string;
      draining: boolean;
      models: readonly string[];
    }): unknown;
  }[];
  /** Where workers read the images that are decoded for them: `host` is this frontend's address for them, `DYN_TCP_RPC_HOST` or `127.0.0.1` by default. */
  media?: { host?: string };
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
  /** `http://host:port`; empty where it listens nowhere. */
  readonly address: string;
  /** `host:port` of the KServe gRPC server; empty where there is none. */
  readonly grpcAddress: string;
  /** Names of the models that can be asked for now, aliases among them. */
  readonly models: readonly string[];
  /** Settles when the frontend has closed. */
  readonly closed: Promise<void>;
  /**
   * Asks a model from within the program: the pipeline of `/v1/chat/completions` without HTTP, counted in the same metrics.
   * Sends on the first pull; leaving the loop stops the engine. API keys and the limit of concurrent requests are not for it.
   *
   * @throws DynamoError `invalid_argument` for what HTTP refuses with 400, `not_found` for an unknown model, and whatever a worker reports.
   */
  chat(request: ChatRequest, options?: CallOptions): AsyncIterable<ChatChunk>;
  /** The same for `/v1/completions`. */
  complete(request: CompletionRequest, options?: CallOptions): AsyncIterable<CompletionChunk>;
  /** The same for `/v1/embeddings`. */
  embed(request: EmbeddingRequest, options?: CallOptions): Promise<EmbeddingResponse>;
  /** Answers an HTTP request that came over no socket, as the server would: with its checks of keys, its limits, and its statuses. */
  inject(request: InjectRequest): Promise<InjectResponse>;
}

/** Opens a frontend on a runtime; it closes with the runtime. */
export async function openFrontend(runtime: DistributedRuntime, options: FrontendOptions = {}, siblings?: Siblings): Promise<Frontend> {
  const listening = options.http === false ? {} : (options.http ?? {});
  const port = listening.port ?? 8000;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new DynamoError('invalid_argument', `http.port must be between 0 and 65535, got ${port}`, { data: { port } });
  const http = settleHttp(listening);
  await using undo = new AsyncDisposableStack();
  const metrics = undo.use(
    new FrontendMetrics({
      beside: runtime.metrics,
      migrationLimit: options.migrationLimit ?? 0,
      ...(options.metricsPrefix === undefined ? {} : { prefix: options.metricsPrefix }),
    }),
  );
  const limits = options.limits ?? {};
  checkLimits(limits);
  const files = undo.use(modelFileStore(options.modelPath === undefined ? {} : { modelPath: options.modelPath }));
  const log = speakingFor(runtime.log, 'dynamo_llm');
  const { models, health } =
    options.engine === undefined
      ? await discovered(runtime, options, { undo, metrics, files })
      : await ownEngine(options.engine, { metrics, files, log, limits });
  const tls = await loadHttpTls(listening.tls ?? {});
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
    media: undo.use(new MediaLoader(options.media?.host ?? (process.env['DYN_TCP_RPC_HOST'] || '127.0.0.1'))),
    scrape: () => (siblings === undefined ? metrics.text() : siblings.metrics()),
    health,
    responses: undo.adopt(openResponses(listening.responses ?? {}, log), (store) => store?.[Symbol.asyncDispose]()),
  };
  const server = undo.use(
    await openHttpServer(parts, {
      listens: options.http !== false,
      ownRoutes: options.routes ?? [],
      host: listening.host ?? '0.0.0.0',
      port,
      reusePort: listening.reusePort ?? false,
      tls,
      bodyLimitMb: options.bodyLimitMb ?? 45,
      bodiesLimitMb: limits.bodiesMb ?? 1_024,
      requestMs: limits.requestMs ?? 120_000,
      gate: gateOf(limits),
      drainMs: options.drainMs ?? 30_000,
    }),
  );
  const door = await openGrpc(parts, options);
  if (door !== undefined) undo.use(door);
  const calls = undo.use(new ProgramCalls(parts, { drainMs: options.drainMs ?? 30_000 }));
  if (server.address !== '') log.info({ address: server.address }, 'the frontend listens');
  return owned(runtime, { kept: undo.move(), server, door, models, calls });
}

/** Opens the KServe server where one is asked for; others pay nothing for it. */
async function openGrpc(parts: RouteParts, options: FrontendOptions): Promise<Door | undefined> {
  const { grpc = false, limits = {} } = options;
  if (grpc === false) return undefined;
  const port = grpc.port ?? 8787;
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new DynamoError('invalid_argument', `grpc.port must be between 0 and 65535, got ${port}`, { data: { port } });
  const { openDoor } = await import('../grpc/open.ts');
  const door = await openDoor(parts, {
    host: grpc.host ?? '0.0.0.0',
    port,
    reusePort: grpc.reusePort ?? false,
    tls: await loadHttpTls(grpc.tls ?? {}),
    messageLimitMb: options.bodyLimitMb ?? 45,
    gate: gateOf(limits),
    readerMs: limits.readerMs ?? defaultReaderMs,
    drainMs: options.drainMs ?? 30_000,
  });
  parts.log.info({ address: door.address }, 'the KServe gRPC server listens');
  return door;
}

const gateOf = ({ concurrent, queued = concurrent ?? 0, queueMs = 60_000 }: FrontendLimits): GateLimits | undefined =>
  concurrent === undefined ? undefined : { concurrent, queued, queueMs };

/** Models, and what `/health` says. */
interface Offered {
  readonly models: ModelDirectory;
  readonly health: () => string;
}

/** Every model that discovery shows. */
async function discovered(
  runtime: DistributedRuntime,
  options: FrontendOptions,
  { undo, metrics, files }: { undo: AsyncDisposableStack; metrics: FrontendMetrics; files: ModelFileStore },
): Promise<Offered> {
  const instances = undo.use(new LiveInstances(runtime));
  const router = await checkedRouter(options.router ?? {});
  const { migrationMaxSequence: maxSequence, namespace, namespacePrefix } = options;
  const models = new ModelWatcher(
    {
      runtime,
      router,
      migration: { limit: options.migrationLimit ?? 0, ...(maxSequence === undefined ? {} : { maxSequence }) },
      patience: options.limits ?? {},
      onMove: (model, kind) => metrics.moved(model, kind),
      onMoved: (model, move) => metrics.settled(model, move),
      files,
    },
    {
      filter: { ...(namespace === undefined ? {} : { namespace }), ...(namespacePrefix === undefined ? {} : { namespacePrefix }) },
      ...(options.router?.overload === undefined ? {} : { overload: options.router.overload }),
      events: { added: (card) => metrics.setModel(card), removed: (name) => metrics.removeModel(name) },
    },
  );
  undo.use(models);
  return { models, health: () => instances.health() };
}

/** The one model of an engine in this process. */
async function ownEngine(
  engine: NonNullable<FrontendOptions['engine']>,
  { metrics, files, log, limits }: { metrics: FrontendMetrics; files: ModelFileStore; log: Logger; limits: FrontendLimits },
): Promise<Offered> {
  const models = await EngineModel.open(engine, { files, log, patience: limits });
  metrics.setModel(models.card);
  return { models, health: () => '{"status":"healthy","endpoints":[],"instances":[]}' };
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

function owned(
  runtime: DistributedRuntime,
  parts: { kept: AsyncDisposableStack; server: HttpServer; door: Door | undefined; models: ModelDirectory; calls: ProgramCalls },
): Frontend {
  const closed = Promise.withResolvers<void>();
  const close = async (): Promise<void> => {
    // Both servers drain at once; the stack of what is kept would close one after the other.
    const drained = parts.door?.[Symbol.asyncDispose]();
    try {
      await parts.kept.disposeAsync();
      await drained;
    } finally {
      ownership[Symbol.dispose]();
      closed.resolve();
    }
  };
  let closing: Promise<void> | undefined;
  const frontend: Frontend = {
    address: parts.server.address,
    grpcAddress: parts.door?.address ?? '',
    get models() {
      return parts.models.list().map(({ id }) => id);
    },
    closed: closed.promise,
    chat: (request, call) => parts.calls.chat(request, call),
    complete: (request, call) => parts.calls.complete(request, call),
    embed: (request, call) => parts.calls.embed(request, call),
    inject: (request) => parts.server.inject(request),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
  const ownership = runtime.own(frontend);
  return frontend;
}
