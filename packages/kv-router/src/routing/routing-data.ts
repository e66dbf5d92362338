import type { KvRoute } from './kv-route.ts';

/** What a router adds to the answers that it passes on: where they come from, and how long that took (spec kv-router 19). */
export class RoutingStory {
  readonly #receivedMs = Date.now();
  readonly #start = performance.now();
  #route: KvRoute | undefined;
  #sentMs = 0;
  #firstMs: number | undefined;

  /** The request is on its way to a worker. */
  routed(route: KvRoute): void {
    this.#route = route;
    this.#sentMs = performance.now() - this.#start;
  }

  /** What goes with an item, under wire names: with the first one its worker, with the last one the times. */
  of(item: { readonly finished: boolean }): Readonly<Record<string, unknown>> | undefined {
    const first = this.#firstMs === undefined;
    if (first) this.#firstMs = performance.now() - this.#start;
    if (!first && !item.finished) return undefined;
    return { ...(first ? { worker_id: this.#worker() } : {}), ...(item.finished ? { timing: this.#timing() } : {}) };
  }

  #worker(): Readonly<Record<string, unknown>> {
    const { instance, rank } = this.#route ?? {};
    return { prefill_worker_id: instance, prefill_dp_rank: rank, decode_worker_id: instance, decode_dp_rank: rank };
  }

  #timing(): Readonly<Record<string, number>> {
    const first = this.#firstMs ?? 0;
    return {
      request_received_ms: this.#receivedMs,
      prefill_wait_time_ms: this.#sentMs,
      prefill_time_ms: first - this.#sentMs,
      ttft_ms: first,
      total_time_ms: performance.now() - this.#start,
      kv_hit_rate: this.#route?.hitRate ?? 0,
      router_queue_depth: this.#route?.queueDepth ?? 0,
    };
  }
}
