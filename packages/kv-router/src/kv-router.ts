import { randomUUID } from 'node:crypto';
import type { CallOptions, Client, DistributedRuntime, EndpointPath, Instance, InstanceId } from '@dynamo/runtime';
import { batchesOf, itemsOf, parseEndpointPath, sessionsOf } from '@dynamo/runtime/internal';
import type { RankLoad } from './load/active-sequences.ts';
import type { KvRouterOptions } from './options.ts';
import type { TokenChunk, TokenRequest } from './request.ts';
import { KvRouting } from './routing/kv-routing.ts';
import type { RoutedCall } from './routing/route-request.ts';
import { RoutingStory } from './routing/routing-data.ts';
import type { RouteReceipt } from './select/receipt.ts';
import type { Placed } from './select/scheduler.ts';
import { encodeTokenRequest } from './wire/preprocessed-request.ts';
import { readTokenFrame, toTokenChunk } from './wire/token-frame.ts';

/** Where a request would go, or goes. */
export interface Placement {
  readonly instance: InstanceId;
  readonly dpRank: number;
  /** Leading blocks of the prompt that the rank holds; lower tiers count by their weight. */
  readonly overlapBlocks: number;
}

/** A placement that counts as load until it is disposed: `using` frees it, whatever happens. */
export interface Reservation extends Placement, Disposable {
  /** The worker has read the prompt: its tokens no longer count. */
  prefillDone(): void;
}

/**
 * Sends each request to the worker that already holds its prefix in KV cache, unless another is cheaper for its load.
 *
 * A `Client` like any other: code that takes a `Client` takes a `KvRouter`. Placements are those of the real router 1.6.1.
 */
export class KvRouter implements Client<TokenRequest, TokenChunk> {
  readonly #client: Client<TokenRequest, unknown>;
  readonly #routing: KvRouting;
  readonly #stack: AsyncDisposableStack;

  private constructor(parts: { client: Client<TokenRequest, unknown>; routing: KvRouting; stack: AsyncDisposableStack }) {
    this.#client = parts.client;
    this.#routing = parts.routing;
    this.#stack = parts.stack;
  }

  /**
   * Opens a router over the workers of an endpoint.
   *
   * @throws DynamoError `invalid_argument` for an option out of range, in the words of the real router.
   */
  static async open(runtime: DistributedRuntime, path: EndpointPath, options: KvRouterOptions): Promise<KvRouter> {
    await using stack = new AsyncDisposableStack();
    const routing = stack.use(await KvRouting.open(runtime, parseEndpointPath(path), options));
    const client = stack.use(
      runtime.openClient<TokenRequest, unknown>(path, {
        policy: routing.policy,
        policyDecides: true,
        encodeRequest: encodeTokenRequest,
        readItem: readTokenFrame,
        ...(options.affinity === undefined ? {} : { affinity: options.affinity, sharesSessions: true }),
      }),
    );
    routing.carries(sessionsOf(client));
    await routing.ready();
    const router = new KvRouter({ client, routing, stack: stack.move() });
    const ownership = runtime.own(router);
    router.#stack.defer(() => ownership[Symbol.dispose]());
    return router;
  }

  get instances(): readonly Instance[] {
    return this.#client.instances;
  }

  ready(options?: { min?: number; signal?: AbortSignal }): Promise<readonly Instance[]> {
    return this.#client.ready(options);
  }

  /**
   * Sends a request to the worker that the router chooses; `instance` pins it, and its load counts all the same.
   *
   * The first chunk's `extra.routing_data` names the worker, the last one's the times, under their wire names.
   */
  generate(request: TokenRequest, options: CallOptions = {}): AsyncIterable<TokenChunk> {
    return itemsOf(() => this.#generate(request, options));
  }

  /** Says where a request would go; waits in the queue like one that goes, and changes nothing. */
  async best(request: TokenRequest, options: { signal?: AbortSignal } = {}): Promise<Placement> {
    return placementOf(await this.#routing.place(request, options));
  }

  /** Says why a request would go where it would: every candidate's overlap, load and cost. Changes nothing. */
  async explain(request: TokenRequest, options: { signal?: AbortSignal } = {}): Promise<RouteReceipt> {
    const { receipt } = await this.#routing.place(request, options, { explain: 'receipt' });
    if (receipt === undefined) throw new TypeError('a placement that was to be explained has a receipt');
    return receipt;
  }

  /** Chooses a worker and counts the request on it, for those who send it themselves. */
  async reserve(request: TokenRequest, options: { signal?: AbortSignal; id?: string } = {}): Promise<Reservation> {
    const booking = await this.#routing.book(request, options);
    return { ...placementOf(booking.placed), prefillDone: () => booking.prefillDone(), [Symbol.dispose]: () => booking.free() };
  }

  /** What each worker rank carries, and would carry with this request. */
  async loads(request: TokenRequest): Promise<readonly RankLoad[]> {
    return this.#routing.loads(request);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async *#generate(request: TokenRequest, options: CallOptions): AsyncGenerator<readonly TokenChunk[]> {
    const story = new RoutingStory();
    const call: RoutedCall = { ...options, id: options.id ?? randomUUID(), routed: (route) => story.routed(route) };
    for await (const batch of batchesOf(this.#client.generate(request, call))) {
      yield batch.map((item) => {
        const chunk = toTokenChunk(item);
        const data = story.of({ finished: chunk.finishReason !== undefined });
        return data === undefined ? chunk : { ...chunk, extra: { ...chunk.extra, routing_data: data } };
      });
    }
  }
}

const placementOf = (placed: Placed): Placement => ({
  instance: placed.workerId,
  dpRank: placed.dpRank,
  overlapBlocks: Math.round(placed.overlapBlocks),
});
