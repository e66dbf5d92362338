import type { Metrics } from '@dynamo/metrics';
import type { Discovery } from '../discovery/discovery.ts';
import { DynamoError } from '../error.ts';
import { countEndpoint } from '../metrics/endpoint-metrics.ts';
import type { RuntimeMetrics } from '../metrics/runtime-metrics.ts';
import type { Settings } from '../options.ts';
import type { Tracer } from '../tracing/tracer.ts';
import type { RequestListener } from '../planes/request/request-plane.ts';
import type { ResponsePlane } from '../planes/response/response-plane.ts';
import { encodeInstance } from '../wire/discovery-record.ts';
import type { Admission } from './admission.ts';
import type { Handler } from './handler.ts';
import type { Instance } from './instance.ts';
import { checkServedPath, type EndpointPath, parseEndpointPath } from './path.ts';
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
}

/** An endpoint that is reachable and discoverable. Disposing withdraws it, refuses new requests and drains the running ones. */
export interface Served extends AsyncDisposable {
  readonly instance: Instance;
  /** Counts under this endpoint's labels; its own requests are counted already. */
  readonly metrics: Metrics;
  /** Settles when the endpoint has ended. */
  readonly closed: Promise<void>;
  /** Leaves discovery and goes on serving what arrives. */
  pause(): Promise<void>;
  /** Comes back to discovery. */
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
}

/** Installs the handler first and publishes the instance then, so that whoever finds it reaches it. */
export async function serveEndpoint(
  parts: ServeParts,
  path: EndpointPath,
  handler: Handler<unknown, unknown>,
  options: ServeOptions = {},
): Promise<Served> {
  const name = parseEndpointPath(path);
  checkServedPath(name);
  const { settings, discovery } = parts;
  const id = discovery.instanceId;
  const { path: wirePath, transport } = parts.requests.locate({ ...name, id });
  const instance: Instance = {
    id,
    ...name,
    transport,
    codec: settings.codec,
    device: settings.device,
  };
  const metrics = countEndpoint(parts.metrics, name, options.labels);
  const stories = storiesOf({ tracer: parts.tracer, log: settings.log, endpoint: { ...name, id } });
  const running = new Set<Promise<void>>();
  const abandoned = new AbortController();
  const accepting = await parts.requests.handle(wirePath, (incoming) => {
    const opened = openRequest(incoming);
    const counted = { bytes: incoming.payload.length, sentNanos: incoming.headers['x-frontend-send-ts-ns'] };
    if ('refusal' in opened) {
      metrics.refused(counted, opened.why);
      settings.log.warn({ endpoint: path, refusal: opened.refusal }, 'refused a request');
      return opened.refusal;
    }
    const work = (): Promise<void> => {
      const meter = metrics.begin(counted);
      const { connectMs } = settings.timeouts;
      const story = tellRequest(stories, opened);
      const run = runRequest(handler, opened, {
        signal: abandoned.signal,
        connectMs,
        story,
        log: settings.log,
        home: parts.home,
        meter,
        input: options.input ?? 'item',
      });
      running.add(run);
      return run.finally(() => running.delete(run));
    };
    return parts.admission.admit(work) ? undefined : 'Server overloaded: worker at capacity';
  });
  let published: AsyncDisposable | undefined;
  const resume = async (): Promise<void> => void (published ??= await discovery.put(encodeInstance(instance)));
  const pause = async (): Promise<void> => {
    const record = published;
    published = undefined;
    await record?.[Symbol.asyncDispose]();
  };
  try {
    await resume();
  } catch (error) {
    accepting[Symbol.dispose]();
    throw error;
  }
  const closed = Promise.withResolvers<void>();
  const shut = async (): Promise<void> => {
    options.signal?.removeEventListener('abort', onAbort);
    try {
      await pause();
    } finally {
      accepting[Symbol.dispose]();
      await drain(running, { abandoned, limitMs: options.drain === false ? 0 : settings.drainMs });
      closed.resolve();
    }
  };
  let shutting: Promise<void> | undefined;
  const dispose = (): Promise<void> => (shutting ??= shut());
  // The result is awaited by whoever disposes the runtime; a failure here would only repeat there.
  const onAbort = (): void => void dispose().catch((error: unknown) => settings.log.error({ error: String(error) }, 'could not end an endpoint'));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  if (options.signal?.aborted === true) onAbort();
  return { instance, metrics: metrics.metrics, closed: closed.promise, pause, resume, [Symbol.asyncDispose]: dispose };
}

/** Running requests go on to their end; after the limit they are aborted, and their callers hear `cancelled`. */
async function drain(running: ReadonlySet<Promise<void>>, options: { abandoned: AbortController; limitMs: number }): Promise<void> {
  if (running.size === 0) return;
  const timer = setTimeout(
    () => options.abandoned.abort(new DynamoError('cancelled', 'the worker is shutting down', { origin: 'backend', data: { kind: 'kill' } })),
    options.limitMs,
  );
  const ends = Promise.all(running);
  const last = new Promise<void>((resolve) => {
    options.abandoned.signal.addEventListener('abort', () => setTimeout(resolve, 1_000).unref(), { once: true });
  });
  await Promise.race([ends, last]);
  clearTimeout(timer);
}
