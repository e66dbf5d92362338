import { KvPublisher, type KvPublisherOptions } from '@dynamo/kv-router';
import type { DistributedRuntime, EndpointPath, Handler, HandlerContext, Served } from '@dynamo/runtime';
import { type BatchedIterable, batchesOf, encodeModel, itemsOf } from '@dynamo/runtime/internal';
import { type CardOptions, cardFromDirectory } from '../model/card.ts';
import { isGgufPath } from '../model/gguf/path.ts';
import { shareCard } from '../model/share-card.ts';
import type { Engine } from './engine.ts';
import type { Tensors } from '../model/tensor-types.ts';
import { tensorHandler } from './tensors.ts';
import { addLora } from './lora/add-lora.ts';
import { Adapters } from './lora/adapters.ts';
import { RunningRequests } from './running-requests.ts';
import { encodeEngineOutput } from '@dynamo/kv-router/internal';
import { decodeTokenRequest } from '@dynamo/kv-router/internal';

/** A model to serve: the first three members are all that is needed. */
export interface ServeModelOptions extends CardOptions {
  endpoint: EndpointPath;
  /** Folder with config.json and tokenizer.json, a GGUF file, or `owner/name` of a model on the hub: see `Llm.fetchModel`. With `input: 'tensor'` just a name. */
  model: string;
  /**
   * From token ids to tokens; with `input: 'tensor'` from `Tensors` to `Tensors`; with `input: 'text'` or the surface `embedding`, from
   * the wire's request to the wire's answer.
   */
  engine: Engine | Handler<never, unknown>;
  /**
   * Has `kv` of the served model tell routers what the engine's cache holds: by its verbs (`native`), or by relaying the engine's
   * own event socket. Without it nothing is told, and routers guess.
   */
  events?: 'native' | NonNullable<KvPublisherOptions['source']>;
  /**
   * Has adapters loaded and unloaded from outside: by the endpoints `load_lora`, `unload_lora` and `list_loras` beside the model's
   * own, and by the status server. The engine finds the adapter of a request as `routing.lora_name`.
   */
  lora?: {
    /** Has the engine take an adapter up; an error refuses it. `path` is a folder, `id` the number that stands for the name. */
    load?: (adapter: { readonly name: string; readonly id: number; readonly path: string }) => Promise<void> | void;
    /** Has the engine let an adapter go, once none of its requests runs. */
    unload?: (adapter: { readonly name: string; readonly id: number; readonly path: string }) => Promise<void> | void;
    /** How many adapters the engine keeps on its GPU at once, for frontends to know. */
    slots?: number;
    /** Folder in which downloaded adapters are kept; by default `DYN_LORA_PATH`, else `~/.cache/dynamo_loras`. */
    cache?: string;
    /** Who finds adapters of further URI schemes, by scheme: `{ gs: … }` for `gs://…`. `download` fills a folder and gives its path. */
    sources?: Readonly<Record<string, { exists(uri: string): Promise<boolean>; download(uri: string, folder: string): Promise<string> }>>;
  };
  /** Request that shows whether the engine works; see `ServeOptions` of the runtime. */
  healthCheck?: unknown;
  /** Aborting it withdraws the model. */
  signal?: AbortSignal;
}

/** A model that is served. Disposing withdraws its card, refuses new requests and drains the running ones. */
export interface ServedModel extends Served {
  /** Tells routers of the engine's cache and load; there with the option `events`. */
  readonly kv?: KvPublisher;
  /** Requests that run now. */
  readonly running: number;
  /**
   * Leaves discovery and settles when no request runs any more; what still arrives is served. Disposing comes next, or `resume`.
   * Aborting the signal ends the wait with its reason, and the model stays paused.
   */
  drain(options?: { signal?: AbortSignal }): Promise<void>;
  /**
   * Offers an adapter of the model under its own name, from a folder or a URI (`file://`, `s3://`, `hf://`). Disposing withdraws it and
   * settles when none of its requests runs any more.
   *
   * @throws DynamoError `invalid_argument` when the name is taken or the folder holds no adapter, `not_found` when there is none.
   */
  addLora(lora: { name: string; path: string }): Promise<AsyncDisposable>;
}

/** Serves the engine and then publishes its card, so that a frontend that sees the card reaches the engine. */
export async function serveModel(runtime: DistributedRuntime, options: ServeModelOptions): Promise<ServedModel> {
  const { endpoint: path, events, healthCheck } = options;
  const folder = options.input === 'tensor' ? options.model : await folderOf(options.model, options.signal);
  const card = await cardFromDirectory(folder, options, options.model);
  const running = new RunningRequests();
  const env = process.env;
  const adapters = new Adapters({ runtime, options: options.lora ?? {}, env });
  await using undo = new AsyncDisposableStack();
  const served = undo.use(
    await runtime.serve(path, running.counting(adapters.guarding(handlerOf(options))), healthCheck === undefined ? {} : { healthCheck }),
  );
  const { id, namespace, component, endpoint } = served.instance;
  const kv = events === undefined ? undefined : undo.use(await openEvents(runtime, path, { events, blockSize: card.kv_cache_block_size }));
  const shared = undo.use(shareCard(runtime, served.instance, card, env));
  undo.use(await runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...shared.card } })));
  adapters.attach(served.instance, shared.card);
  undo.use(adapters);
  if (options.lora !== undefined) {
    const { serveAdapterEndpoints } = await import('./lora/endpoints.ts');
    undo.use(await serveAdapterEndpoints(runtime, served.instance, { adapters, env }));
  }
  return ownedModel(runtime, { served, kv, running, adapters, kept: undo.move(), signal: options.signal });
}

/** A folder as it is; the one that is made of a GGUF file; what is none and may be the name of a model is fetched. */
async function folderOf(model: string, signal: AbortSignal | undefined): Promise<string> {
  if (isGgufPath(model)) return (await import('../model/gguf/index.ts')).ggufFolder(model, process.env);
  const { fetchModel, hubPlace, looksLikeModelId } = await import('../hub/index.ts');
  return looksLikeModelId(model) ? fetchModel(model, hubPlace(process.env), signal === undefined ? {} : { signal }) : model;
}

const openEvents = (
  runtime: DistributedRuntime,
  path: EndpointPath,
  { events, blockSize }: { events: NonNullable<ServeModelOptions['events']>; blockSize: number },
): Promise<KvPublisher> => KvPublisher.open(runtime, path, { blockSize, ...(events === 'native' ? {} : { source: events }) });

/** Withdraws the card first and drains the endpoint then, whoever asks for it: the caller, the signal or the runtime's shutdown. */
function ownedModel(
  runtime: DistributedRuntime,
  {
    served,
    kv,
    running,
    adapters,
    kept,
    signal,
  }: {
    served: Served;
    kv: KvPublisher | undefined;
    running: RunningRequests;
    adapters: Adapters;
    kept: AsyncDisposableStack;
    signal: AbortSignal | undefined;
  },
): ServedModel {
  const close = async (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort);
    try {
      await kept.disposeAsync();
    } finally {
      ownership[Symbol.dispose]();
    }
  };
  let closing: Promise<void> | undefined;
  const model: ServedModel = {
    ...served,
    ...(kv === undefined ? {} : { kv }),
    get running() {
      return running.count;
    },
    pause: () => served.pause(),
    resume: () => served.resume(),
    async drain(options = {}) {
      options.signal?.throwIfAborted();
      await served.pause();
      await running.idle(options.signal);
    },
    addLora: (lora) => addLora(adapters, lora),
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
  const ownership = runtime.own(model);
  const onAbort = (): void =>
    void Promise.resolve(model[Symbol.asyncDispose]()).catch((error: unknown) =>
      runtime.log.error({ error: String(error) }, 'could not withdraw a model'),
    );
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  return model;
}

/** Engines that get no token ids, and those that make vectors, speak the wire's own values (spec llm 2.6, 2.7). */
function handlerOf({ engine, input, surfaces }: ServeModelOptions): Handler<never, unknown> {
  if (input === 'tensor') return tensorHandler(engine as Handler<Tensors, Tensors>);
  return input === 'text' || surfaces?.includes('embedding') === true ? (engine as Handler<never, unknown>) : wireHandler(engine as Engine);
}

/** The engine as the wire sees it; batches stay batches. */
export const wireHandler =
  (engine: Engine) =>
  (request: unknown, context: HandlerContext): BatchedIterable<Record<string, unknown>> => {
    const chunks = engine(decodeTokenRequest(request), context);
    return itemsOf(async function* () {
      for await (const batch of batchesOf(chunks)) yield batch.map(encodeEngineOutput);
    });
  };
