import type { Metrics } from '@dynamo/metrics';
import { badValue } from './check.ts';
import { policies, type PolicyName } from './client/policy/index.ts';
import { type Client, type ClientOptions, type RoutePolicy } from './client/types.ts';
import { type ClientParts, openEndpointClient, type TypedClientOptions } from './client/client.ts';
import { discoveries } from './discovery/index.ts';
import type { Discovery } from './discovery/discovery.ts';
import { createAdmission } from './endpoint/admission.ts';
import type { Handler } from './endpoint/handler.ts';
import type { Instance } from './endpoint/instance.ts';
import type { EndpointPath } from './endpoint/path.ts';
import { serveEndpoint, type Served, type ServeOptions, type ServeParts } from './endpoint/serve.ts';
import { DynamoError } from './error.ts';
import { eventDirectory } from './event-directory.ts';
import type { Logger } from './log.ts';
import { loadTls, type Tls } from './net/tls.ts';
import { openRuntimeMetrics, type RuntimeMetrics } from './metrics/runtime-metrics.ts';
import { type ConnectOptions, settle, type Settings } from './options.ts';
import type { EventPlane } from './planes/events/event-plane.ts';
import { eventPlanes, lazyEvents } from './planes/events/index.ts';
import { createNatsLink, type NatsLink } from './planes/nats/connection.ts';
import { requestPlanes } from './planes/request/index.ts';
import type { RequestListener } from './planes/request/request-plane.ts';
import { openSenders } from './planes/request/senders.ts';
import { responsePlanes } from './planes/response/index.ts';
import type { ResponseListener, ResponsePlane } from './planes/response/response-plane.ts';
import { ModelFiles } from './system/model-files.ts';
import { openStatusServer, type StatusServer } from './system/server.ts';
import { StatusBoard } from './system/status-board.ts';
import type { Tracer } from './tracing/tracer.ts';

/** The tracer of a runtime, for siblings that begin or pass on traces; undefined where nothing is traced. */
export let tracerOf: (runtime: DistributedRuntime) => Tracer | undefined;

/** Families of a runtime under another prefix than the hierarchy's, for siblings whose names the real system has there. */
export let metricsBeside: (runtime: DistributedRuntime, prefix: string) => Metrics;

/**
 * One process's place in a Dynamo deployment: it serves endpoints and calls those of others.
 *
 * By default discovery is by files, and requests and answers travel over TCP: no server is needed. Two runtimes in one process share nothing.
 */
export class DistributedRuntime implements AsyncDisposable {
  static {
    tracerOf = (runtime) => runtime.#tracer;
    metricsBeside = (runtime, prefix) => runtime.#metrics.beside(prefix);
  }

  /** What this runtime counts, and where its owner adds more: the text of `/metrics` on the status server. */
  readonly metrics: Metrics;
  readonly #settings: Settings;
  readonly #discovery: Discovery;
  readonly #stack: AsyncDisposableStack;
  readonly #stopping = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  readonly #board: StatusBoard;
  readonly #files: ModelFiles;
  readonly #status: StatusServer | undefined;
  readonly #served = new Set<AsyncDisposable>();
  readonly #clients = new Set<AsyncDisposable>();
  readonly #clientParts: ClientParts;
  readonly #requests: () => Promise<RequestListener>;
  readonly #home: ResponsePlane;
  readonly #admission: ServeParts['admission'];
  readonly #metrics: RuntimeMetrics;
  readonly #tracer: Tracer | undefined;
  readonly #events: EventPlane;
  #disposing: Promise<void> | undefined;

  private constructor(parts: {
    settings: Settings;
    tls: Tls;
    discovery: Discovery;
    stack: AsyncDisposableStack;
    board: StatusBoard;
    files: ModelFiles;
    status: StatusServer | undefined;
    metrics: RuntimeMetrics;
    tracer: Tracer | undefined;
  }) {
    const { settings, discovery, stack } = parts;
    this.#settings = settings;
    this.#discovery = discovery;
    this.#stack = stack;
    this.#board = parts.board;
    this.#files = parts.files;
    this.#status = parts.status;
    this.#metrics = parts.metrics;
    this.#tracer = parts.tracer;
    this.metrics = parts.metrics.metrics;
    this.#admission = parts.metrics.work.counted(createAdmission(settings.request));
    // First in, last out: planes that use it close before it does.
    const planes = { nats: stack.use(createNatsLink(settings.nats, settings.log)), tls: parts.tls };
    const requests = requestPlanes[settings.requestPlane](planes);
    this.#requests = once(async () => keep(stack, await requests.listen({ ...settings.request, log: settings.log })));
    this.#home = responsePlanes.tcp(planes);
    const responses = once(async (): Promise<ResponseListener> =>
      keep(stack, await this.#home.listen({ ...settings.response, prologueMs: settings.timeouts.prologueMs, log: settings.log })),
    );
    this.#events = stack.use(openEvents(settings, discovery, planes.nats));
    const sender = openSenders({
      tcp: () => requestPlanes.tcp(planes).dial({ ...settings.timeouts, meter: this.#metrics.calls().tcp }),
      nats: () => requestPlanes.nats(planes).dial({ ...settings.timeouts, ackMs: settings.nats.ackMs }),
    });
    this.#clientParts = {
      settings,
      discovery,
      sender: stack.use(sender),
      responses,
      events: this.#events,
      onClosed: (client) => void this.#clients.delete(client),
      calls: () => ({ metrics: this.#metrics.calls(), tracer: parts.tracer }),
    };
    stack.defer(() => endAll(this.#clients));
    // Whoever waits for it hears of a failure; nobody may be waiting.
    this.#closed.promise.catch((error: unknown) => settings.log.error({ error: String(error) }, 'the shutdown has failed'));
  }

  /**
   * Opens discovery and what the options ask for; the sockets open when they are first needed.
   *
   * @throws DynamoError `invalid_argument` for a bad option or variable, `not_implemented` for a plane of a later version.
   */
  static async connect(options: ConnectOptions = {}): Promise<DistributedRuntime> {
    const settings = settle(options);
    checkWanted(options.signal);
    const tls = await loadTls(settings.tls, settings.log);
    await using undo = new AsyncDisposableStack();
    const discovery = undo.use(typeof settings.discovery === 'object' ? settings.discovery : await discoveries[settings.discovery](settings));
    const board = new StatusBoard({ startsReady: settings.startsReady, healthChecks: settings.healthCheck.enabled });
    const files = new ModelFiles();
    const metrics = openRuntimeMetrics({ instanceId: discovery.instanceId, limits: settings.request, log: settings.log });
    const { log } = settings;
    const status =
      settings.system && undo.use(await openStatusServer(board, { ...settings.system, files, log, metrics: () => metrics.metrics.text() }));
    const tracer = await openTracing(settings, metrics);
    // Before the planes: the spans of what is drained go out too.
    if (tracer !== undefined) undo.use(tracer);
    checkWanted(options.signal);
    const runtime = new DistributedRuntime({ settings, tls, discovery, stack: undo.move(), board, files, status, metrics, tracer });
    const shutDown = (): void => runtime.#dispose();
    options.signal?.addEventListener('abort', shutDown, { once: true });
    runtime.signal.addEventListener('abort', () => options.signal?.removeEventListener('abort', shutDown), { once: true });
    discovery.lost.catch((error: unknown) => {
      settings.log.error({ error: String(error) }, 'the lease is lost: shutting down');
      shutDown();
    });
    return runtime;
  }

  /** Aborts when shutdown begins. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Settles when shutdown has ended. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** @internal */
  get discovery(): Discovery {
    return this.#discovery;
  }

  /** @internal */
  get events(): EventPlane {
    return this.#events;
  }

  /** @internal */
  get log(): Logger {
    return this.#settings.log;
  }

  /** Serves an endpoint: resolved when it is reachable and discoverable. */
  async serve<Req, Res>(path: EndpointPath, handler: Handler<Req, Res>, options?: ServeOptions): Promise<Served> {
    this.#checkOpen();
    const opening = this.#open(path, handler as Handler<unknown, unknown>, options);
    // A shutdown that begins meanwhile waits for it, and ends it.
    const part: AsyncDisposable = {
      [Symbol.asyncDispose]: () =>
        opening.then(
          (served) => served[Symbol.asyncDispose](),
          () => {},
        ),
    };
    this.#served.add(part);
    try {
      const served = await opening;
      // `closed` never rejects.
      void served.closed.then(() => this.#served.delete(part));
      this.#checkOpen();
      return served;
    } catch (error) {
      this.#served.delete(part);
      throw error;
    }
  }

  async #open(path: EndpointPath, handler: Handler<unknown, unknown>, options?: ServeOptions): Promise<Served> {
    const parts: ServeParts = {
      settings: this.#settings,
      discovery: this.#discovery,
      requests: await this.#requests(),
      home: this.#home,
      admission: this.#admission,
      metrics: this.#metrics,
      tracer: this.#tracer,
      board: this.#board,
    };
    return serveEndpoint(parts, path, handler, options);
  }

  /** Opens a client of an endpoint, whether or not anybody serves it yet. */
  async client<Req, Res>(path: EndpointPath, options?: ClientOptions): Promise<Client<Req, Res>> {
    return this.openClient<Req, Res>(path, options);
  }

  /** @internal */
  openClient<Req, Res>(path: EndpointPath, options?: TypedClientOptions<Req>): Client<Req, Res> {
    this.#checkOpen();
    const client = openEndpointClient<Req, Res>(this.#clientParts, path, options);
    this.#clients.add(client);
    return client;
  }

  /**
   * A policy of its own, as the settings of this runtime make it.
   *
   * @internal
   */
  policy(name: PolicyName): RoutePolicy {
    return policies[name](this.#settings);
  }

  /**
   * Ends a part with the runtime: its disposal begins when shutdown begins, and the planes stay open until it has ended.
   *
   * @internal
   */
  own(part: AsyncDisposable): Disposable {
    this.#checkOpen();
    this.#served.add(part);
    return { [Symbol.dispose]: () => void this.#served.delete(part) };
  }

  /** Answers `/engine/{name}` on the status server with what `handler` returns; disposing removes the route. */
  route(name: string, handler: (body: unknown) => Promise<unknown>): Disposable {
    if (typeof name !== 'string' || name === '') throw badValue('name', name, 'the path behind /engine/');
    if (typeof handler !== 'function') throw badValue('handler', handler, 'a function');
    return this.#board.route(name, handler);
  }

  /**
   * Hands out a model's file on the status server, until it is disposed. Its URL is there when that server is on.
   *
   * @internal
   */
  shareFile(
    name: { endpoint: Pick<Instance, 'namespace' | 'component' | 'endpoint'>; slug: string; suffix?: string; file: string },
    path: string,
  ): { readonly url: string | undefined } & Disposable {
    const shared = this.#files.share(name, path);
    const url = this.#status && `${this.#status.url}${shared.urlPath}`;
    return { url, [Symbol.dispose]: () => shared[Symbol.dispose]() };
  }

  /**
   * Where the status server is reached, `http://HOST:PORT`, when it is on.
   *
   * @internal
   */
  get statusUrl(): string | undefined {
    return this.#status?.url;
  }

  /** Says whether this process is ready for traffic, as the status server shows it. */
  setReady(ready: boolean): void {
    this.#board.ready = ready;
  }

  /** Withdraws every endpoint, drains, and closes everything. Idempotent; waits for what is in flight up to `drainMs`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#dispose();
    await this.closed;
  }

  #dispose(): void {
    this.#disposing ??= this.#shutDown().then(this.#closed.resolve, this.#closed.reject);
  }

  async #shutDown(): Promise<void> {
    this.#stopping.abort(new DynamoError('cancelled', 'the runtime is shutting down'));
    this.#board.withdraw();
    // One that can't be withdrawn must not keep the others from their end, nor the planes from closing.
    try {
      await endAll(this.#served);
    } finally {
      await this.#stack.disposeAsync();
    }
  }

  #checkOpen(): void {
    if (this.signal.aborted) throw shuttingDown();
  }
}

const shuttingDown = (): DynamoError => new DynamoError('unavailable', 'the runtime is shutting down');

function checkWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new DynamoError('cancelled', 'connecting was cancelled', { cause: signal.reason });
}

/** Lets the stack own a part that has just been opened; one that comes too late is closed again. */
async function keep<T extends AsyncDisposable>(stack: AsyncDisposableStack, part: T): Promise<T> {
  if (!stack.disposed) return stack.use(part);
  await part[Symbol.asyncDispose]();
  throw shuttingDown();
}

/** Disposes all parts at once and waits for every one; throws the failures then. */
async function endAll(parts: Iterable<AsyncDisposable>): Promise<void> {
  const ends = await Promise.allSettled([...parts].map((part) => part[Symbol.asyncDispose]()));
  const failures = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} parts could not be ended`);
}

/** The event plane that the settings name, on the records of this runtime's discovery. */
function openEvents(settings: Settings, discovery: Discovery, nats: NatsLink): EventPlane {
  const { eventPlane, events, log } = settings;
  if (typeof eventPlane === 'object') return eventPlane;
  return lazyEvents(() => eventPlanes[eventPlane]({ ...events, directory: eventDirectory(discovery), nats, log }));
}

/** Runs `open` at the first call and, after a failure, at the next one. */
function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined;
  return () =>
    (opened ??= open().catch((error: unknown) => {
      opened = undefined;
      throw error;
    }));
}

/** Tracing is a part that is loaded only where somebody asks for it. */
async function openTracing(settings: Settings, metrics: RuntimeMetrics): Promise<Tracer | undefined> {
  if (settings.tracing === undefined) return undefined;
  const { openTracer } = await import('./tracing/index.ts');
  return openTracer(settings.tracing, { log: settings.log, onDropped: metrics.droppedSpans });
}
