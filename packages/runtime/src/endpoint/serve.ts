import type { Metrics } from '@dynamo/metrics';
import { checkServeOptions } from '../check-options.ts';
import type { Discovery } from '../discovery/discovery.ts';
import { countEndpoint } from '../metrics/endpoint-metrics.ts';
import type { RuntimeMetrics } from '../metrics/runtime-metrics.ts';
import type { Settings } from '../options.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { IncomingRequest, RequestListener } from '../planes/request/request-plane.ts';
import type { ResponsePlane } from '../planes/response/response-plane.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import type { Admission } from './admission.ts';
import type { EndpointStatus, StatusBoard } from '../system/status-board.ts';
import { Canary } from './canary.ts';
import { Taken } from './drain.ts';
import type { Handler } from './handler.ts';
import type { Instance } from './instance.ts';
import { callLocally } from './local-call.ts';
import { checkServedPath, type EndpointPath, parseEndpointPath } from './path.ts';
import { Registration } from './registration.ts';
import { storiesOf, tellRequest } from './request-story.ts';
import { openRequest, runRequest } from './run-request.ts';

/** Options of one served endpoint. */
export interface ServeOptions {
  /** Whether disposal waits for running requests; default true. */
  drain?: boolean;
  /** What the handler takes: one `item`, by default, or a `stream` of them. Callers see no difference until they call. */
  input?: 'item' | 'stream';
  /** Labels of the families that count this endpoint's requests, such as `model`, beside those that every endpoint has. */
  labels?: Record<string, string>;
  /** Aborting it disposes the endpoint. */
  signal?: AbortSignal;
  /**
   * Request that shows whether the handler works. With `DYN_HEALTH_CHECK_ENABLED` the endpoint is not ready before it has
   * answered one, and is asked again whenever it has had no traffic for `DYN_CANARY_WAIT_TIME`; nothing travels for it.
   */
  healthCheck?: unknown;
}

/** An endpoint that is reachable and discoverable. Disposing withdraws it, refuses new requests and drains the running ones. */
export interface Served extends AsyncDisposable {
  readonly instance: Instance;
  /** Counts under this endpoint's labels; its own requests are counted already. */
  readonly metrics: Metrics;
  /** Settles when the endpoint has ended. */
  readonly closed: Promise<void>;
  /** Leaves discovery and goes on serving what arrives; settles when the record is gone. Twice is as good as once. */
  pause(): Promise<void>;
  /** Comes back to discovery; fails with `unavailable` once the endpoint has begun to end. Twice is as good as once. */
  resume(): Promise<void>;
}

/** What a runtime lends to its endpoints. */
export interface ServeParts {
  readonly settings: Settings;
  readonly discovery: Discovery;
  readonly requests: RequestListener;
  readonly home: ResponsePlane;
  readonly admission: Admission;
  readonly metrics: RuntimeMetrics;
  readonly tracer: Tracer | undefined;
  readonly board: StatusBoard;
}

/**
 * Installs the handler first and publishes the instance then, so that whoever finds it reaches it.
 *
 * The end goes the other way (spec runtime-wire 12): not ready, withdrawn, refusing, drained.
 */
export async function serveEndpoint(
  parts: ServeParts,
  path: EndpointPath,
  handler: Handler<unknown, unknown>,
  options: ServeOptions = {},
): Promise<Served> {
  const name = parseEndpointPath(path);
  checkServedPath(name);
  checkServeOptions(handler, options);
  const { settings, discovery } = parts;
  const id = discovery.instanceId;
  const { path: wirePath, transport } = parts.requests.locate({ ...name, id });
  const instance: Instance = { id, ...name, transport, codec: settings.codec, device: settings.device };
  const metrics = countEndpoint(parts.metrics, name, options.labels);
  const stories = storiesOf({ tracer: parts.tracer, log: settings.log, endpoint: { ...name, id } });
  const taken = new Taken();
  const registration = new Registration(() => discovery.put(encodeInstance(instance)));
  await using undo = new AsyncDisposableStack();
  const { status, canary } = watchHealth(parts, { name: name.endpoint, handler, options, signal: taken.signal });
  undo.defer(() => status[Symbol.dispose]());
  if (canary !== undefined) undo.use(canary);
  undo.defer(() => taken.drain(options.drain === false ? 0 : settings.drainMs));
  undo.use(await parts.requests.handle(wirePath, accept));
  undo.defer(() => registration.end());
  undo.defer(() => void (status.ready = false));
  await registration.resume();
  const life = undo.move();

  function accept(incoming: IncomingRequest): string | undefined {
    const opened = openRequest(incoming);
    const counted = { bytes: incoming.payload.length, sentNanos: incoming.headers['x-frontend-send-ts-ns'] };
    if ('refusal' in opened) {
      metrics.refused(counted, opened.why);
      settings.log.warn({ endpoint: path, refusal: opened.refusal }, 'refused a request');
      return opened.refusal;
    }
    taken.begin();
    const admitted = parts.admission.admit(async () => {
      await runRequest(handler, opened, {
        signal: taken.signal,
        connectMs: settings.timeouts.connectMs,
        story: tellRequest(stories, opened),
        log: settings.log,
        home: parts.home,
        meter: metrics.begin(counted),
        input: options.input ?? 'item',
        onItems: canary && (() => canary.sawTraffic()),
      });
      taken.end();
    });
    if (admitted) return undefined;
    taken.end();
    return 'Server overloaded: worker at capacity';
  }

  const closed = Promise.withResolvers<void>();
  let ending: Promise<void> | undefined;
  const dispose = (): Promise<void> => (ending ??= end());
  const end = async (): Promise<void> => {
    options.signal?.removeEventListener('abort', onAbort);
    try {
      await life.disposeAsync();
    } finally {
      closed.resolve();
    }
  };
  // The result is awaited by whoever disposes the runtime; a failure here would only repeat there.
  const onAbort = (): void => void dispose().catch((error: unknown) => settings.log.error({ error: String(error) }, 'could not end an endpoint'));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  return {
    instance,
    metrics: metrics.metrics,
    closed: closed.promise,
    pause: () => registration.pause(),
    resume: () => registration.resume(),
    [Symbol.asyncDispose]: dispose,
  };
}

/** Shows the endpoint on the board, and checks it where both sides ask for it. */
function watchHealth(
  { settings, board }: ServeParts,
  served: { name: string; handler: Handler<unknown, unknown>; options: ServeOptions; signal: AbortSignal },
): { status: EndpointStatus; canary: Canary | undefined } {
  const { name, handler, options, signal } = served;
  const { enabled, waitMs, limitMs } = settings.healthCheck;
  const input = options.input ?? 'item';
  const payload = options.healthCheck;
  const checked = payload !== undefined && payload !== null;
  const status = board.add({ name, checked, call: (request) => callLocally(handler, request, { input, signal }) });
  if (!checked || !enabled) return { status, canary: undefined };
  const canary = new Canary({
    check: () => callLocally(handler, payload, { input, limitMs, signal }),
    waitMs,
    endpoint: name,
    log: settings.log,
    onStatus: (ready) => void (status.ready = ready),
  });
  return { status, canary };
}
