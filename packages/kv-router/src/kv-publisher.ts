import { type DistributedRuntime, DynamoError, type EndpointPath, type Instance } from '@dynamo/runtime';
import {
  bare,
  decodeJson,
  encodeEventSource,
  encodeInstance,
  type EventPublisher,
  type EventScope,
  parseEndpointPath,
} from '@dynamo/runtime/internal';
import { type LoadReport, LoadReporter } from './load/load-reporter.ts';
import { EngineRelay } from './publish/engine-relay.ts';
import { type EngineSource, openEngineSocket } from './publish/engine-socket.ts';
import { EventPipeline, toMessages } from './publish/event-pipeline.ts';
import { HeldBlocks } from './publish/held-blocks.ts';
import { LocalIndex } from './publish/local-index.ts';
import { convertStored } from './publish/convert.ts';
import type { KvChange, MediaObject, RouterEvent, Tier } from './wire/kv-event.ts';
import { writeRouterEvents } from './wire/kv-event-writer.ts';
import { answerToWire, queryFromWire } from './wire/worker-query.ts';

/** How a worker tells of its cache. */
export interface KvPublisherOptions {
  /** Tokens in one block of the KV cache. */
  blockSize: number;
  /** An engine's own event socket to relay; without it the engine's events are told by `stored`, `removed` and `cleared`. */
  source?: EngineSource;
  /** Data-parallel rank that this publisher speaks for; default 0. */
  dpRank?: number;
  /** Whether routers that join late or miss events can ask this worker; default true. The real router listens to no publisher without it. */
  localIndex?: boolean;
  /** @internal Whether the publisher also reports loads; off where a worker of several ranks has one channel for all. Default true. */
  loads?: boolean;
  /** Token that stands for image content in prompts: blocks with it are hashed by the image. */
  imageTokenId?: number;
}

/** Blocks that the engine has cached. */
export interface StoredBlocks {
  /** The tokens of the blocks, one after the other; what is left over after whole blocks is ignored. */
  tokenIds: readonly number[];
  /** The engine's own name of each block. */
  hashes: readonly bigint[];
  /** The engine's name of the block before the first; absent at the start of a prompt. */
  parent?: bigint;
  loraName?: string;
  /** Namespace that keeps caches apart. */
  salt?: string;
  /** Tokens overlap by one from block to block, as EAGLE heads cache them. */
  eagle?: boolean;
  /** Media objects in each block. */
  media?: readonly (readonly MediaObject[] | undefined)[];
}

const topic = 'kv-events';

/** Tells changes whose blocks have the router's own hashes already, in one list, as the publisher of 1.6.1 takes them; of the device unless a tier is named. */
export let publishChanges: (publisher: KvPublisher, changes: readonly KvChange[], tier?: Tier) => void;

/**
 * Tells routers what one worker's KV cache holds, and how full it is.
 *
 * One face for both sources: an engine that calls `stored`, `removed` and `cleared`, or one that publishes events of its own
 * over ZMQ (vLLM, SGLang, TensorRT-LLM), which are relayed. Events are numbered, merged and counted as the real publisher
 * does (spec kv-router 15).
 */
export class KvPublisher implements AsyncDisposable {
  readonly #options: KvPublisherOptions;
  readonly #dpRank: number;
  readonly #pipeline: EventPipeline;
  readonly #held: HeldBlocks;
  readonly #events: EventPublisher;
  readonly #index: LocalIndex | undefined;
  readonly #load: LoadReporter | undefined;
  readonly #stack: AsyncDisposableStack;
  #closed = false;

  static {
    publishChanges = (publisher, changes, tier = 'device') => {
      publisher.#checkOwn('changed');
      const dpRank = publisher.#dpRank;
      publisher.#publish(publisher.#pipeline.push(changes.map((change) => ({ dpRank, tier, change }))));
    };
  }

  private constructor(parts: {
    options: KvPublisherOptions;
    pipeline: EventPipeline;
    held: HeldBlocks;
    events: EventPublisher;
    index: LocalIndex | undefined;
    load: LoadReporter | undefined;
    stack: AsyncDisposableStack;
  }) {
    this.#options = parts.options;
    this.#dpRank = parts.options.dpRank ?? 0;
    this.#pipeline = parts.pipeline;
    this.#held = parts.held;
    this.#events = parts.events;
    this.#index = parts.index;
    this.#load = parts.load;
    this.#stack = parts.stack;
  }

  /**
   * Opens the publisher of an endpoint that this runtime serves; resolved when routers can find it.
   *
   * @throws DynamoError `invalid_argument` for a block size, rank or source address that can't be.
   */
  static async open(runtime: DistributedRuntime, path: EndpointPath, options: KvPublisherOptions): Promise<KvPublisher> {
    const { blockSize, dpRank = 0 } = options;
    // The real publisher's words for a block size of 0 (spec kv-router 15).
    if (!Number.isInteger(blockSize) || blockSize <= 0)
      throw new DynamoError(
        'invalid_argument',
        blockSize === 0 ? 'kv_block_size cannot be 0' : `blockSize must be a count above 0, got ${blockSize}`,
      );
    if (!Number.isInteger(dpRank) || dpRank < 0 || dpRank > 0xffff_ffff)
      throw new DynamoError('invalid_argument', `dpRank must be a 32-bit count, got ${dpRank}`);
    const { namespace, component, endpoint } = parseEndpointPath(path);
    const scope: EventScope = { namespace, component, endpoint };
    const workerId = runtime.discovery.instanceId;
    await using stack = new AsyncDisposableStack();
    const events = stack.use(await runtime.events.publish(scope, topic));
    const load = options.loads === false ? undefined : stack.use(await openLoads(runtime, scope, workerId));
    const held = new HeldBlocks();
    const index = options.localIndex === false ? undefined : new LocalIndex({ workerId, dpRank }, held);
    if (index !== undefined) await answerQueries(runtime, { scope, dpRank, publisher: events.id, index, stack });
    const pipeline = new EventPipeline(workerId);
    const publisher = new KvPublisher({ options, pipeline, held, events, index, load, stack: stack.move() });
    const ownership = runtime.own(publisher);
    publisher.#stack.defer(() => ownership[Symbol.dispose]());
    if (options.source !== undefined) {
      try {
        await publisher.#relay(workerId, options.source, runtime);
      } catch (error) {
        await publisher[Symbol.asyncDispose]();
        throw error;
      }
    }
    return publisher;
  }

  /** Tells that blocks are cached. Only without a `source`. */
  stored(blocks: StoredBlocks): void {
    this.#checkOwn('stored');
    const { tokenIds, hashes, parent, loraName, salt, eagle = false, media } = blocks;
    const event = { type: 'stored', hashes, parent, tokens: tokenIds, eagle, blockSize: this.#options.blockSize } as const;
    const named = { ...event, ...(loraName === undefined ? {} : { loraName }), ...(media === undefined ? {} : { media }) };
    this.#publish(
      this.#pipeline.push([
        { dpRank: this.#dpRank, tier: 'device', change: convertStored(named, salt, { ...this.#options, hasher: this.#held.hasher }) },
      ]),
    );
  }

  /** Tells that blocks are gone, by the engine's names. Only without a `source`. */
  removed(hashes: readonly bigint[]): void {
    this.#checkOwn('removed');
    this.#publish(this.#pipeline.push([{ dpRank: this.#dpRank, tier: 'device', change: { type: 'removed', hashes } }]));
  }

  /** Tells that the cache is empty. Only without a `source`. */
  cleared(): void {
    this.#checkOwn('cleared');
    this.#publish(this.#pipeline.push([{ dpRank: this.#dpRank, tier: 'device', change: { type: 'cleared' } }]));
  }

  /**
   * Tells how full the worker is; only the newest report of a moment is sent.
   *
   * @throws DynamoError `invalid_argument` without a measure, or for one that is no count.
   */
  load(report: LoadReport): void {
    if (!this.#closed) this.#load?.report({ ...report, dpRank: report.dpRank ?? this.#dpRank });
  }

  /** Withdraws the publisher: routers forget what they knew of it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#stack.disposeAsync();
  }

  async #relay(workerId: bigint, source: EngineSource, { log }: DistributedRuntime): Promise<void> {
    const relay = new EngineRelay(workerId, { ...this.#options, hasher: this.#held.hasher }, this.#pipeline);
    let refused = 0;
    const onMessage = (frames: readonly Uint8Array[]): void => {
      const { messages, refused: why } = relay.read(frames);
      for (const message of messages) this.#send(message);
      // Once a thousand: an engine of another version would fill the log.
      if (why !== undefined && refused++ % 1_000 === 0) log.warn({ zmq: source.zmq, why, refused }, "dropped an engine's event message");
    };
    const onRestart = (): void => {
      for (const message of relay.restart()) this.#send(message);
    };
    this.#stack.use(await openEngineSocket(source, { onMessage, onRestart, log }));
  }

  #checkOwn(verb: string): void {
    if (this.#closed) throw new DynamoError('unavailable', 'the KV publisher is closed');
    if (this.#options.source !== undefined)
      throw new DynamoError(
        'invalid_argument',
        `${verb}() can't be used with a source: this publisher relays the events of ${this.#options.source.zmq}`,
      );
  }

  #publish(events: readonly RouterEvent[]): void {
    for (const message of toMessages(events)) this.#send(message);
  }

  #send(message: readonly RouterEvent[]): void {
    if (this.#closed) return;
    // First, so that whoever asks after hearing of an event gets it.
    if (this.#index !== undefined) for (const event of message) this.#index.apply(event);
    this.#events.publish(writeRouterEvents(message));
  }
}

/** Opens the reports of one worker's loads: one channel for all its ranks. */
export async function openLoads(runtime: DistributedRuntime, scope: EventScope, workerId: bigint): Promise<LoadReporter & AsyncDisposable> {
  const loads = await runtime.events.publish(scope, 'kv_metrics');
  const reporter = new LoadReporter({ workerId, publish: (payload) => void loads.publish(payload) });
  return Object.assign(reporter, {
    async [Symbol.asyncDispose]() {
      reporter[Symbol.dispose]();
      await loads[Symbol.asyncDispose]();
    },
  });
}

/** Serves the publisher's recovery endpoint and names it in discovery (spec kv-router 17.1). */
async function answerQueries(
  runtime: DistributedRuntime,
  source: { scope: EventScope; dpRank: number; publisher: bigint; index: LocalIndex; stack: AsyncDisposableStack },
): Promise<void> {
  const { scope, dpRank, publisher, index, stack } = source;
  const path: EndpointPath = `${scope.namespace}.${scope.component ?? ''}.worker_kv_query_source_${publisher.toString(16)}`;
  const served = stack.use(
    await runtime.serve<unknown, unknown>(
      path,
      async function* (query) {
        yield bare(answerToWire(answerTo(index, query)));
      },
      { drain: false },
    ),
  );
  const metadata = {
    kv_state_endpoint: { namespace: scope.namespace, component: scope.component, name: scope.endpoint },
    worker: { worker_id: served.instance.id, dp_rank: dpRank },
    publisher_id: publisher,
    recovery_target: targetOf(served.instance),
  };
  stack.use(await runtime.discovery.put(encodeEventSource({ scope, topic, publisher, metadata })));
}

function answerTo(index: LocalIndex, query: unknown): ReturnType<LocalIndex['answer']> {
  try {
    return index.answer(queryFromWire(query));
  } catch (error) {
    return { type: 'error', message: error instanceof Error ? error.message : String(error) };
  }
}

/** An instance's record without its `type`. */
function targetOf(instance: Instance): Record<string, unknown> {
  const { type: _, ...rest } = decodeJson(encodeInstance(instance).value) as Record<string, unknown>;
  return rest;
}
