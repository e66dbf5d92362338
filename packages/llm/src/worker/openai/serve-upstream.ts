import { setTimeout as sleep } from 'node:timers/promises';
import { type EngineSource, KvPublisher } from '@dynamo/kv-router';
import { openLoads } from '@dynamo/kv-router/internal';
import { type DistributedRuntime, DynamoError, type EndpointPath, type Handler, type Logger, type Served } from '@dynamo/runtime';
import { encodeModel, parseEndpointPath } from '@dynamo/runtime/internal';
import { modelFileStore } from '../../frontend/model-files.ts';
import type { WireCard } from '../../model/wire-card.ts';
import { wireHandler } from '../serve-model.ts';
import { askCache, askFacts, askHealth, type UpstreamFacts } from './facts.ts';
import { textEngine } from './text-engine.ts';
import { tokenEngine } from './token-engine.ts';
import { Upstream } from './upstream.ts';
import { upstreamCard } from './upstream-card.ts';

/** An OpenAI server that is to be a worker. */
export interface ServeUpstreamOptions {
  /** Base address, such as `http://127.0.0.1:8000`. */
  readonly url: string;
  /** Sent to it as a bearer token. */
  readonly key?: string | undefined;
  /** Opens the worker's runtime: each life of a worker has its own, and with it its own instance id. */
  readonly connect: () => Promise<DistributedRuntime>;
  /** Where a model is served. */
  readonly endpointOf: (model: string) => EndpointPath;
  /** Model folder, name and input; by default as the upstream says, with token ids where its folder is on this machine. */
  readonly model?: { readonly folder?: string | undefined; readonly name?: string | undefined; readonly input?: 'tokens' | 'text' | undefined };
  /** Its own ZMQ events; without them routers know of its cache only what they have sent. */
  readonly kvEvents?: EngineSource | undefined;
  /** Tokens of a KV block; by default what its metrics say. */
  readonly blockSize?: number | undefined;
  /** Time between two looks at its health, and longest silence of an answer, in milliseconds. */
  readonly times?: {
    readonly probeMs?: number | undefined;
    readonly idleMs?: number | undefined;
    /** How long a worker that has left discovery still takes requests at the end; 0 by default. */
    readonly graceMs?: number | undefined;
  };
  readonly log: Logger;
  /** Hears of every worker that has begun to serve. */
  readonly onServed?: (served: Served, card: WireCard) => void;
}

/** An upstream that is kept as a worker while it is there. */
export interface UpstreamWorker extends AsyncDisposable {
  /** Resolves when it serves for the first time; rejects when it never will, by what the operator said of it. */
  readonly ready: Promise<void>;
}

/** Looks in a row that must fail before a worker that answers badly is taken out. */
const badLooks = 2;
const defaults = { probeMs: 2_000, idleMs: 120_000 } as const;

/**
 * Serves an OpenAI server as a worker, for as long as it is there.
 *
 * It is looked at again and again: one that answers badly leaves discovery until it is well; one that has gone is
 * withdrawn, its cache forgotten, and served anew, as whatever it is by then, when it is back.
 *
 * @throws DynamoError `invalid_argument` for an address that is none.
 */
export function serveUpstream(options: ServeUpstreamOptions): UpstreamWorker {
  const upstream = new Upstream({ url: options.url, key: options.key, idleMs: options.times?.idleMs ?? defaults.idleMs });
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  // Whoever waits for it hears of it.
  ready.promise.catch(() => undefined);
  const running = keep(upstream, { options, signal: stop.signal, onReady: ready.resolve }).catch((error: unknown) => {
    options.log.error({ upstream: upstream.url, error: String(error) }, 'an upstream can not be served');
    ready.reject(error);
  });
  return {
    ready: ready.promise,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
      upstream[Symbol.dispose]();
    },
  };
}

interface Life {
  readonly options: ServeUpstreamOptions;
  readonly signal: AbortSignal;
  readonly onReady: () => void;
}

/** Failures that the operator must mend: trying again would not. */
const isFinal = (error: unknown): boolean => DynamoError.is(error, 'invalid_argument', 'not_found') && error.origin === 'local';

async function keep(upstream: Upstream, life: Life): Promise<void> {
  const { options, signal } = life;
  let told = '';
  while (!signal.aborted) {
    try {
      await liveOnce(upstream, await askFacts(upstream, signal), life);
      told = '';
    } catch (error) {
      if (isFinal(error)) throw error;
      // Once for each reason: it may take hours.
      if (told !== String(error) && !signal.aborted) options.log.warn({ upstream: upstream.url, error: String(error) }, 'waiting for an upstream');
      told = String(error);
      await pause(life);
    }
  }
}

/** Serves the upstream until it has gone. */
async function liveOnce(upstream: Upstream, facts: UpstreamFacts, life: Life): Promise<void> {
  const { options, signal } = life;
  const card = await upstreamCard(facts, { ...options.model, blockSize: options.blockSize, tellsEvents: options.kvEvents !== undefined });
  await using stack = new AsyncDisposableStack();
  const runtime = stack.use(await options.connect());
  const endpoint = options.endpointOf(card.display_name);
  const report = await openReports(runtime, { endpoint, card, facts, kvEvents: options.kvEvents, stack });
  const handler = await handlerOf(upstream, { card, facts, log: options.log, stack });
  const served = stack.use(await runtime.serve(endpoint, handler));
  const { id, namespace, component, endpoint: name } = served.instance;
  stack.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint: name, card: { ...card } })));
  options.log.info({ upstream: upstream.url, model: card.display_name, instance: served.instance.id.toString(16) }, 'an upstream is served');
  life.onReady();
  options.onServed?.(served, card);
  await watch(upstream, { life, served, report, lost: runtime.signal });
  const { graceMs = 0 } = options.times ?? {};
  if (signal.aborted && graceMs > 0 && !runtime.signal.aborted) {
    await served.pause();
    await sleep(graceMs);
  }
  if (!signal.aborted)
    options.log.warn(
      { upstream: upstream.url },
      runtime.signal.aborted ? 'the runtime of an upstream has ended' : 'an upstream has gone; it is withdrawn until it is back',
    );
}

/** Looks at the upstream until it has gone, nobody wants it any more, or its runtime has ended. */
async function watch(
  upstream: Upstream,
  { life, served, report, lost }: { life: Life; served: Served; report: Report; lost: AbortSignal },
): Promise<void> {
  const { options, signal } = life;
  let bad = 0;
  while (!signal.aborted && !lost.aborted) {
    await pause(life);
    if (signal.aborted || lost.aborted) return;
    const health = await askHealth(upstream, signal);
    if (health === 'well') {
      if (bad >= badLooks) {
        options.log.info({ upstream: upstream.url }, 'an upstream is well again');
        await served.resume();
      }
      bad = 0;
      report(await askCache(upstream, signal));
    } else if (++bad === badLooks) {
      if (health === 'gone') return;
      options.log.warn({ upstream: upstream.url }, 'an upstream answers badly; no requests go to it until it is well');
      await served.pause();
    } else if (health === 'gone' && bad > badLooks) return;
  }
}

const pause = ({ options, signal }: Life): Promise<void> =>
  sleep(options.times?.probeMs ?? defaults.probeMs, undefined, { signal }).catch(() => undefined);

type Report = (cache: UpstreamFacts['cache']) => void;

/** Opens what tells routers of the cache; what it returns passes loads on. */
async function openReports(
  runtime: DistributedRuntime,
  parts: { endpoint: EndpointPath; card: WireCard; facts: UpstreamFacts; kvEvents: EngineSource | undefined; stack: AsyncDisposableStack },
): Promise<Report> {
  const { endpoint, card, facts, kvEvents, stack } = parts;
  let report: (kvUsedBlocks: number) => void;
  if (kvEvents === undefined) {
    const { namespace, component, endpoint: name } = parseEndpointPath(endpoint);
    const loads = stack.use(await openLoads(runtime, { namespace, component, endpoint: name }, runtime.discovery.instanceId));
    report = (kvUsedBlocks) => loads.report({ kvUsedBlocks });
  } else {
    const publisher = stack.use(await KvPublisher.open(runtime, endpoint, { blockSize: card.kv_cache_block_size, source: kvEvents }));
    report = (kvUsedBlocks) => publisher.load({ kvUsedBlocks });
  }
  return ({ used, blocks = facts.cache.blocks }) => {
    if (used !== undefined && blocks !== undefined) report(Math.round(used * blocks));
  };
}

async function handlerOf(
  upstream: Upstream,
  { card, facts, log, stack }: { card: WireCard; facts: UpstreamFacts; log: Logger; stack: AsyncDisposableStack },
): Promise<Handler<never, unknown>> {
  const model = facts.model.id;
  if (card.model_input === 'Text') return textEngine({ upstream, model }) as Handler<never, unknown>;
  const files = stack.use(modelFileStore());
  const { tokenizer } = await files.load(card);
  const contextLength = card.context_length === 0 ? undefined : card.context_length;
  return wireHandler(tokenEngine({ upstream, model, contextLength, encode: (text) => tokenizer.encode(text), log }));
}
