import { loraId } from '@dynamo/kv-router/internal';
import { type DistributedRuntime, DynamoError, type Handler, type HandlerContext, type Instance } from '@dynamo/runtime';
import { batchesOf, encodeModel, itemsOf } from '@dynamo/runtime/internal';
import type { LoraSource } from '../../lora/index.ts';
import { adapterCard } from '../../model/adapter-card.ts';
import { slugOf } from '../../model/card.ts';
import type { WireCard } from '../../model/wire-card.ts';
import { RunningRequests } from '../running-requests.ts';
import { Turns } from './turns.ts';

/** An adapter as an engine gets to know it. */
export interface Adapter {
  readonly name: string;
  /** The number that stands for the name (spec lora-recorder-misc 1). */
  readonly id: number;
  /** Folder with adapter_config.json and the weights. */
  readonly path: string;
}

/** What a backend says of adapters; see `ServeModelOptions.lora`. */
export interface LoraOptions {
  readonly load?: (adapter: Adapter) => Promise<void> | void;
  readonly unload?: (adapter: Adapter) => Promise<void> | void;
  readonly slots?: number;
  readonly cache?: string;
  readonly sources?: Readonly<Record<string, LoraSource>>;
}

/** Where the adapters belong. */
export interface AdapterHost {
  readonly runtime: DistributedRuntime;
  readonly options: LoraOptions;
  readonly env: Readonly<Record<string, string | undefined>>;
}

interface Loaded {
  adapter: Adapter;
  readonly running: RunningRequests;
  /** Its card in discovery. */
  card: AsyncDisposable | undefined;
  /** Settles when the engine has exchanged the adapter's weights: requests wait for it. */
  gate: Promise<void> | undefined;
}

/** What has become of a load. */
export interface LoadOutcome {
  readonly id: number;
  readonly how: 'loaded' | 'already loaded' | 'hot-swapped';
}

/** The adapters that a worker has loaded, each with its card in discovery. Disposing withdraws the cards. */
export class Adapters implements AsyncDisposable {
  readonly #host: AdapterHost;
  readonly #loaded = new Map<string, Loaded>();
  readonly #turns = new Turns();
  #closed = false;
  #base: { readonly instance: Instance; readonly card: WireCard } | undefined;

  constructor(host: AdapterHost) {
    this.#host = host;
  }

  /** Tells which model the adapters extend, once it is served. */
  attach(instance: Instance, card: WireCard): void {
    this.#base = { instance, card };
  }

  /** Ids by name, in the order in which they were loaded. */
  get ids(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#loaded.values()].map(({ adapter }) => [adapter.name, adapter.id]));
  }

  /** The adapter of a name, while it is loaded. */
  find(name: string): Adapter | undefined {
    return this.#loaded.get(name)?.adapter;
  }

  /**
   * The same handler, with the requests of each adapter counted.
   *
   * A request for one that is not loaded is refused: its base model would answer something else.
   */
  guarding(handler: Handler<never, unknown>): Handler<never, unknown> {
    return (request, context) => {
      const name = this.#adapterOf(request);
      return name === undefined ? handler(request, context) : itemsOf(() => this.#run(name, handler, { request, context }));
    };
  }

  async *#run(
    name: string,
    handler: Handler<never, unknown>,
    { request, context }: { request: never; context: HandlerContext },
  ): AsyncGenerator<readonly unknown[]> {
    let loaded = this.#loaded.get(name);
    while (loaded?.gate !== undefined) {
      await loaded.gate;
      loaded = this.#loaded.get(name);
    }
    if (loaded === undefined) throw new DynamoError('invalid_argument', `unknown model or LoRA adapter: '${name}'`, { data: { adapter: name } });
    const { running } = loaded;
    running.enter();
    try {
      yield* batchesOf(handler(request, context));
    } finally {
      running.leave();
    }
  }

  /** Frontends name it in the routing hints; a client's own request names it as its model. */
  #adapterOf(request: unknown): string | undefined {
    const { routing, model } = (request ?? {}) as { routing?: { lora_name?: unknown } | null; model?: unknown };
    const name = routing?.lora_name;
    if (typeof name === 'string' && name !== '') return name;
    return this.#loaded.size > 0 && typeof model === 'string' && this.#loaded.has(model) ? model : undefined;
  }

  /**
   * Loads an adapter from a folder or a URI and publishes its card. Loading a loaded one changes nothing, unless `swap` is set:
   * then its weights are exchanged when none of its requests runs.
   *
   * @throws DynamoError `not_found` or `invalid_argument` for a source that is no adapter, what a download may throw, and what the
   * engine threw. Nothing of it stays then.
   */
  load(name: string, source: string, { swap = false }: { swap?: boolean } = {}): Promise<LoadOutcome> {
    return this.#turns.take(name, async () => {
      const present = this.#loaded.get(name);
      if (present !== undefined && !swap) return { id: present.adapter.id, how: 'already loaded' };
      if (present === undefined) this.#checkName(name);
      const path = await this.#fetch(source);
      const adapter = { name, id: loraId(name), path };
      if (present === undefined) await this.#add(adapter);
      else await this.#swap(present, adapter);
      return { id: adapter.id, how: present === undefined ? 'loaded' : 'hot-swapped' };
    });
  }

  /**
   * Withdraws an adapter's card, waits for its requests and has the engine let it go. `only` keeps it from another adapter of the
   * same name that came since.
   *
   * @throws DynamoError `not_found` when there is none, or what the engine threw: the adapter is then offered again.
   */
  unload(name: string, only?: Adapter): Promise<Adapter> {
    return this.#turns.take(name, async () => {
      const loaded = this.#loaded.get(name);
      if (loaded === undefined || (only !== undefined && loaded.adapter !== only)) throw this.#unknown(name);
      await this.#withdraw(loaded);
      // One that a slow frontend sent may come while the last one ends.
      while (loaded.running.count > 0) await loaded.running.idle();
      this.#loaded.delete(name);
      try {
        await this.#host.options.unload?.(loaded.adapter);
      } catch (error) {
        this.#loaded.set(name, loaded);
        loaded.card = await this.#publish(loaded.adapter);
        throw error;
      }
      return loaded.adapter;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    const ended = await Promise.allSettled([...this.#loaded.values()].map(({ card }) => card?.[Symbol.asyncDispose]()));
    this.#loaded.clear();
    const failed = ended.find((result) => result.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  }

  async #fetch(source: string): Promise<string> {
    const { resolveAdapter } = await import('../../lora/index.ts');
    const { options, env } = this.#host;
    return resolveAdapter(source, { env, cache: options.cache, sources: options.sources });
  }

  async #add(adapter: Adapter): Promise<void> {
    const { load, unload } = this.#host.options;
    await refusing(`Failed to add LoRA '${adapter.name}'`, () => load?.(adapter));
    const loaded: Loaded = { adapter, running: new RunningRequests(), card: undefined, gate: undefined };
    this.#loaded.set(adapter.name, loaded);
    try {
      loaded.card = await this.#publish(adapter);
    } catch (error) {
      this.#loaded.delete(adapter.name);
      await unload?.(adapter);
      throw new DynamoError('unavailable', `Failed to register LoRA '${adapter.name}' in discovery registry: ${messageOf(error)}`, { cause: error });
    }
  }

  /** Exchanges what the engine has; the card stays. */
  async #swap(loaded: Loaded, next: Adapter): Promise<void> {
    const { load, unload } = this.#host.options;
    const before = loaded.adapter;
    const { promise, resolve } = Promise.withResolvers<void>();
    loaded.gate = promise;
    try {
      while (loaded.running.count > 0) await loaded.running.idle();
      await refusing(`Failed to remove existing LoRA '${next.name}' before hot-swap`, () => unload?.(before));
      try {
        await refusing(`Failed to add LoRA '${next.name}'`, () => load?.(next));
        loaded.adapter = next;
      } catch (error) {
        await Promise.resolve(load?.(before)).catch(() => this.#drop(loaded));
        throw error;
      }
    } finally {
      loaded.gate = undefined;
      resolve();
    }
  }

  /** An adapter that the engine has no more is nobody's. */
  async #drop(loaded: Loaded): Promise<void> {
    this.#loaded.delete(loaded.adapter.name);
    await this.#withdraw(loaded);
  }

  async #withdraw(loaded: Loaded): Promise<void> {
    const { adapter, card } = loaded;
    try {
      await card?.[Symbol.asyncDispose]();
      loaded.card = undefined;
    } catch (error) {
      throw new DynamoError('unavailable', `Failed to unregister LoRA '${adapter.name}' from discovery registry: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #publish({ name, id: lora }: Adapter): Promise<AsyncDisposable> {
    const { runtime, options } = this.#host;
    const { instance, card } = this.#attached();
    const { id, namespace, component, endpoint } = instance;
    const own = adapterCard(card, { name, slots: options.slots, userData: { lora_adapter: true, lora_id: lora } });
    return runtime.discovery.put(encodeModel({ id, namespace, component, endpoint, card: { ...own }, suffix: own.slug }));
  }

  #checkName(name: string): void {
    if (name === '') throw new DynamoError('invalid_argument', 'an adapter needs a name');
    const { card } = this.#attached();
    if (name === card.display_name || card.aliases?.includes(name) === true)
      throw new DynamoError('invalid_argument', `LoRA adapter name '${name}' is reserved by its base model`);
    // The slug is what its card's key ends with.
    const twin = [...this.#loaded.keys()].find((other) => slugOf(other) === slugOf(name));
    if (twin !== undefined) throw new DynamoError('invalid_argument', `LoRA adapter name '${name}' is too like that of '${twin}'`);
  }

  #attached(): { readonly instance: Instance; readonly card: WireCard } {
    if (this.#base === undefined || this.#closed) throw new DynamoError('unavailable', 'the base model is not served');
    return this.#base;
  }

  #unknown(name: string): DynamoError {
    const available = [...this.#loaded.keys()].map((other) => `'${other}'`).join(', ');
    return new DynamoError('not_found', `LoRA adapter '${name}' not found. Available LoRAs: [${available}]`, { data: { adapter: name } });
  }
}

/** What an engine throws, said with what it was asked for. */
async function refusing(what: string, ask: () => Promise<void> | void): Promise<void> {
  try {
    await ask();
  } catch (cause) {
    const code = DynamoError.is(cause) ? cause.code : 'unknown';
    throw new DynamoError(code, `${what}: ${messageOf(cause)}`, { cause });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
