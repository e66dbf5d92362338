import { Metrics } from '@dynamo/metrics';
import type { RankPass } from './live-engine.ts';
import type { LiveRequest } from './live-request.ts';

/** Bounds of the real engine's histograms, in seconds (vectors/metrics/worker.prom). */
const bounds = {
  request: [0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680],
  token: [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80],
  first: [0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560],
} as const;

/** The families of a vLLM engine that the real mock worker shows, so that dashboards and planners work with it. */
export class EngineMetrics implements Disposable {
  readonly #own = new Metrics();
  readonly #ranks: readonly Rank[];
  readonly #shown: Disposable;

  constructor(worker: Metrics, options: { readonly ranks: number; readonly model: string }) {
    this.#ranks = Array.from({ length: options.ranks }, (_, rank) => new Rank(this.#own, { engine: String(rank), model_name: options.model }));
    this.#shown = worker.onExposition(() => this.#own.text());
  }

  passed(ranks: readonly RankPass[]): void {
    for (const { dpRank, engine } of ranks) this.#ranks[dpRank]?.load(engine.load);
  }

  token(request: LiveRequest): void {
    this.#ranks[request.dpRank]?.token(request);
  }

  ended(request: LiveRequest): void {
    this.#ranks[request.dpRank]?.ended(request);
  }

  [Symbol.dispose](): void {
    this.#shown[Symbol.dispose]();
  }
}

class Rank {
  readonly #request;
  readonly #first;
  readonly #token;
  readonly #usage;
  readonly #usageAlias;
  readonly #preemptions;
  readonly #running;
  readonly #waiting;
  #preempted = 0;

  constructor(metrics: Metrics, labels: { engine: string; model_name: string }) {
    const labelNames = ['engine', 'model_name'] as const;
    const gauge = (name: string, help: string) => metrics.gauge(`vllm:${name}`, help, { labelNames }).with(labels);
    const histogram = (name: string, help: string, buckets: readonly number[]) =>
      metrics.histogram(`vllm:${name}`, help, { labelNames, buckets }).with(labels);
    this.#request = histogram('e2e_request_latency_seconds', 'Histogram of e2e request latency in seconds.', bounds.request);
    this.#usageAlias = gauge('gpu_cache_usage_perc', 'Compatibility alias for KV-cache usage as a fraction of available cache blocks.');
    this.#token = histogram('inter_token_latency_seconds', 'Histogram of inter-token latency in seconds.', bounds.token);
    this.#usage = gauge('kv_cache_usage_perc', 'KV-cache usage as a fraction of available cache blocks.');
    this.#preemptions = metrics.counter('vllm:num_preemptions_total', 'Cumulative number of request preemptions.', { labelNames }).with(labels);
    this.#running = gauge('num_requests_running', 'Number of requests currently running on GPU.');
    this.#waiting = gauge('num_requests_waiting', 'Number of requests waiting to be processed.');
    this.#first = histogram('time_to_first_token_seconds', 'Histogram of time to first token in seconds.', bounds.first);
  }

  load({ activeBlocks, totalBlocks, running, waiting, preemptions }: RankPass['engine']['load']): void {
    this.#usage.set(activeBlocks / totalBlocks);
    this.#usageAlias.set(activeBlocks / totalBlocks);
    this.#running.set(running);
    this.#waiting.set(waiting);
    this.#preemptions.inc(preemptions - this.#preempted);
    this.#preempted = preemptions;
  }

  token(request: LiveRequest): void {
    const now = performance.now();
    if (Number.isNaN(request.lastTokenMs)) this.#first.observe((now - request.arrivedMs) / 1_000);
    else this.#token.observe((now - request.lastTokenMs) / 1_000);
    request.lastTokenMs = now;
  }

  ended(request: LiveRequest): void {
    this.#request.observe((performance.now() - request.arrivedMs) / 1_000);
  }
}
