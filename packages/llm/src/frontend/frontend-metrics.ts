import { type Counter, type Gauge, type Histogram, Metrics } from '@dynamo/metrics';
import { metricName, watchEventLoop } from '@dynamo/metrics/internal';
import type { WireCard } from '../model/wire-card.ts';
import { buckets } from './metric-buckets.ts';
import { StageMetrics, StageWatch } from './stage-metrics.ts';

/** Which route a request came in by, as the `endpoint` label names it. */
export type CountedEndpoint =
  | 'anthropic_messages'
  | 'chat_completions'
  | 'classify'
  | 'completions'
  | 'embeddings'
  | 'pooling'
  | 'rerank'
  | 'responses'
  | 'tensor';

/** How a request ended, as the `error_type` label names it; empty for success. */
export type ErrorType = '' | 'cancelled' | 'internal' | 'not_found' | 'not_implemented' | 'overload' | 'unavailable' | 'validation';

/** Counts one request from its first byte to its last. */
export interface RequestRecord {
  /** What it spends before its first token, and on tokens that become text. */
  readonly stages: StageWatch;
  /** The prompt's length in tokens. */
  input(tokens: number): void;
  /** What arrived together from the worker; called once a batch. */
  output(tokens: number): void;
  /** How many tokens of the prompt the worker had cached. */
  cached(tokens: number): void;
  /** Called once, whatever the end. */
  end(outcome: { errorType?: ErrorType; class?: string; reason?: string }): void;
}

/** Instruments of one model, bound once. */
interface ModelInstruments {
  /** By endpoint and request type. */
  readonly counters: Map<string, RouteCounters>;
  readonly inflight: Gauge;
  readonly active: Gauge;
  readonly queued: Gauge;
  readonly duration: Histogram;
  readonly firstToken: Histogram;
  readonly interToken: Histogram;
  readonly inputTokens: Histogram;
  readonly cachedTokens: Histogram;
  readonly outputTokens: Histogram;
  readonly outputTotal: Counter;
}

/** How the move of a request to another worker ended. */
export interface Move {
  readonly kind: 'new_request' | 'ongoing_request';
  readonly outcome: 'success' | 'failure' | 'cancelled';
  /** From the failure of one worker to the first answer of another, or to the end. */
  readonly seconds: number;
}

interface RouteCounters {
  readonly started: Counter;
  readonly succeeded: Counter;
}

type Labelled<T> = T & { readonly with: (labels: { model: string }) => T };

/** Stands for every name that no model has, as in the real system: names that clients make up must not make series. */
const unknownModel = 'unknown_model';

const defaultPrefix = 'dynamo_frontend';

/** The metrics of an HTTP frontend, with the real one's names, labels and buckets (spec metrics 6, llm 8). */
export class FrontendMetrics implements Disposable {
  readonly #metrics: Metrics;
  readonly #beside: Metrics | undefined;
  readonly #eventLoop: Disposable;
  readonly #byModel = new Map<string, ModelInstruments>();
  /** First names by every name that clients may use. */
  readonly #names = new Map<string, string>();
  readonly #started: Counter<'endpoint' | 'model' | 'request_type'>;
  readonly #ended: Counter<'endpoint' | 'error_type' | 'model' | 'request_type' | 'status'>;
  readonly #failures: Counter<'class' | 'reason'>;
  readonly #left: Gauge;
  readonly #embedded: Histogram<'model'>;
  readonly #moved: Counter<'migration_type' | 'model'>;
  readonly #moving: Histogram<'migration_type' | 'model' | 'outcome'>;
  readonly #cancelled: Counter<'endpoint' | 'model' | 'request_type'>;
  readonly #rejected: Counter<'endpoint' | 'model'>;
  readonly #stages: StageMetrics;
  readonly #migrationLimit: number;

  /** `beside` are the runtime's metrics, whose text follows the frontend's own as in the real one. */
  constructor(options: { prefix?: string; beside?: Metrics; migrationLimit?: number } = {}) {
    const metrics = new Metrics({ prefix: usablePrefix(options.prefix) });
    this.#metrics = metrics;
    this.#beside = options.beside;
    this.#migrationLimit = options.migrationLimit ?? 0;
    this.#moved = metrics.counter('model_migration_total', 'Total number of request migrations due to worker unavailability', {
      labelNames: ['migration_type', 'model'],
    });
    this.#moving = metrics.histogram(
      'model_migration_duration_seconds',
      'Time from detecting a migratable failure until recovery, terminal failure, or cancellation',
      { labelNames: ['migration_type', 'model', 'outcome'], buckets: buckets.migration },
    );
    this.#cancelled = metrics.counter('model_cancellation_total', 'Total number of request cancellations', {
      labelNames: ['endpoint', 'model', 'request_type'],
    });
    this.#rejected = metrics.counter('model_rejection_total', 'Total number of requests rejected due to resource exhaustion', {
      labelNames: ['endpoint', 'model'],
    });
    this.#stages = new StageMetrics(metrics);
    this.#eventLoop = watchEventLoop(metrics);
    this.#started = metrics.counter('requests_started_total', 'Total number of LLM requests accepted by the frontend handler', {
      labelNames: ['endpoint', 'model', 'request_type'],
    });
    this.#ended = metrics.counter('requests_total', 'Total number of LLM requests processed', {
      labelNames: ['endpoint', 'error_type', 'model', 'request_type', 'status'],
    });
    this.#failures = metrics.counter('failures_total', 'Total number of terminal semantic request failures', { labelNames: ['class', 'reason'] });
    this.#embedded = metrics.histogram(
      'embedding_latency_seconds',
      'End-to-end latency of /v1/embeddings requests, in seconds. Distinct from request_duration_seconds so the bucket range can cover sub-second pooling-model inference.',
      { labelNames: ['model'], buckets: buckets.embedding },
    );
    this.#left = metrics.gauge('disconnected_clients', 'Number of disconnected clients');
  }

  /** Shows a model's card in gauges, and lets its names be counted apart. */
  setModel(card: WireCard): void {
    const model = card.display_name;
    for (const name of [model, ...(card.aliases ?? [])]) this.#names.set(name, model);
    const gauge = (name: string, help: string, value: unknown): void => {
      if (typeof value === 'number')
        this.#metrics
          .gauge(name, help, { labelNames: ['model'] })
          .with({ model })
          .set(value);
    };
    const { runtime_config: runtime } = card;
    gauge('model_context_length', 'Maximum context length in tokens for a worker serving the model', card.context_length);
    gauge('model_kv_cache_block_size', 'KV cache block size in tokens for a worker serving the model', card.kv_cache_block_size);
    gauge('model_max_num_batched_tokens', 'Maximum number of batched tokens for a worker serving the model', runtime['max_num_batched_tokens']);
    gauge('model_max_num_seqs', 'Maximum number of sequences for a worker serving the model', runtime['max_num_seqs']);
    gauge('model_total_kv_blocks', 'Total KV cache blocks available for a worker serving the model', runtime['total_kv_blocks']);
    gauge('model_migration_limit', 'Maximum number of request migrations allowed for the model', this.#migrationLimit);
    gauge('model_ready', 'Whether the frontend can route at least one inference request for the model (1 = ready, 0 = not ready)', 1);
  }

  /** Takes the series of a model away that nobody serves any more. */
  removeModel(model: string): void {
    for (const [name, first] of this.#names) if (first === model) this.#names.delete(name);
    this.#byModel.delete(model);
    this.#metrics.remove({ model });
  }

  /** A request has moved to another worker: before its first token, or in the midst of its answer. */
  moved(model: string, kind: 'new_request' | 'ongoing_request'): void {
    this.#moved.with({ migration_type: kind, model }).inc();
  }

  /** The move of a request has come to an end. */
  settled(model: string, { kind, outcome, seconds }: Move): void {
    this.#moving.with({ migration_type: kind, model, outcome }).observe(seconds);
  }

  /** A request was refused over a limit of the frontend; a family of ours, which is there from the first refusal on. */
  refused(limit: string): void {
    const help = 'Total number of requests that the frontend refused over one of its own limits';
    this.#metrics
      .counter('refused_requests_total', help, { labelNames: ['limit'] })
      .with({ limit })
      .inc();
  }

  /** How long a request for embeddings took, where it went well. */
  embedded(model: string, seconds: number): void {
    this.#embedded.with({ model: this.#names.get(model) ?? unknownModel }).observe(seconds);
  }

  /** `cancelledAs` is what the endpoint is called where the request is cancelled, if that is another name. */
  start(request: { model: string; endpoint: CountedEndpoint; stream: boolean; cancelledAs?: 'grpc_completions' }): RequestRecord {
    const model = this.#names.get(request.model) ?? unknownModel;
    const labels = { endpoint: request.endpoint, model, request_type: request.stream ? 'stream' : 'unary' };
    const instruments = this.#instruments(model);
    const counters = this.#counters(instruments, labels);
    counters.started.inc();
    instruments.inflight.inc();
    instruments.active.inc();
    instruments.queued.inc();
    return new Request(instruments, new StageWatch(this.#stages), (outcome) => {
      const errorType = outcome.errorType ?? '';
      if (errorType === '') return counters.succeeded.inc();
      this.#ended.with({ ...labels, error_type: errorType, status: 'error' }).inc();
      if (errorType === 'cancelled') {
        this.#left.inc();
        this.#cancelled.with({ ...labels, endpoint: request.cancelledAs ?? request.endpoint }).inc();
      } else if (errorType === 'overload') this.#rejected.with({ endpoint: labels.endpoint, model }).inc();
      this.#failures.with({ class: outcome.class ?? 'Internal', reason: outcome.reason ?? 'runtime.unclassified' }).inc();
    });
  }

  /** Binds a route's counters once a model, not once a request. */
  #counters({ counters }: ModelInstruments, labels: { endpoint: string; model: string; request_type: string }): RouteCounters {
    const key = `${labels.endpoint} ${labels.request_type}`;
    const present = counters.get(key);
    if (present !== undefined) return present;
    const bound = { started: this.#started.with(labels), succeeded: this.#ended.with({ ...labels, error_type: '', status: 'success' }) };
    counters.set(key, bound);
    return bound;
  }

  /** The text of `/metrics`. */
  async text(): Promise<string> {
    const own = await this.#metrics.text();
    return this.#beside === undefined ? own : own + (await this.#beside.text());
  }

  /** Ends the watch of the event loop; everything else goes with the last reference. */
  [Symbol.dispose](): void {
    this.#eventLoop[Symbol.dispose]();
  }

  #instruments(model: string): ModelInstruments {
    const present = this.#byModel.get(model);
    if (present !== undefined) return present;
    const metrics = this.#metrics;
    const of = <T>(instrument: Labelled<T>): T => instrument.with({ model });
    const histogram = (name: string, help: string, bounds: readonly number[]): Histogram =>
      of(metrics.histogram(name, help, { labelNames: ['model'], buckets: bounds }));
    const made: ModelInstruments = {
      counters: new Map(),
      inflight: of(metrics.gauge('inflight_requests', 'Number of inflight requests', { labelNames: ['model'] })),
      active: of(
        metrics.gauge(
          'active_requests',
          'Number of requests currently being handled by the frontend, from HTTP handler entry to response completion',
          {
            labelNames: ['model'],
          },
        ),
      ),
      queued: of(metrics.gauge('queued_requests', 'Number of requests in HTTP processing queue', { labelNames: ['model'] })),
      duration: histogram('request_duration_seconds', 'Duration of LLM requests', buckets.duration),
      firstToken: histogram('time_to_first_token_seconds', 'Time to first token in seconds', buckets.firstToken),
      interToken: histogram('inter_token_latency_seconds', 'Inter-token latency in seconds', buckets.interToken),
      inputTokens: histogram('input_sequence_tokens', 'Input sequence length in tokens', buckets.inputTokens),
      cachedTokens: histogram('cached_tokens', 'Number of cached tokens (prefix cache hits) per request', buckets.inputTokens),
      outputTokens: histogram('output_sequence_tokens', 'Output sequence length in tokens', buckets.outputTokens),
      outputTotal: of(
        metrics.counter('output_tokens_total', 'Total number of output tokens generated (updates in real-time)', { labelNames: ['model'] }),
      ),
    };
    this.#byModel.set(model, made);
    return made;
  }
}

/** The real one takes its default where the configured prefix can't be a name (spec metrics 2). */
function usablePrefix(asked: string = defaultPrefix): string {
  try {
    return metricName(asked);
  } catch {
    return defaultPrefix;
  }
}

type Outcome = Parameters<RequestRecord['end']>[0];

class Request implements RequestRecord {
  readonly stages: StageWatch;
  readonly #instruments: ModelInstruments;
  readonly #ended: (outcome: Outcome) => void;
  readonly #start = performance.now();
  #last = 0;
  #tokens = 0;
  #over = false;

  constructor(instruments: ModelInstruments, stages: StageWatch, ended: (outcome: Outcome) => void) {
    this.#instruments = instruments;
    this.stages = stages;
    this.#ended = ended;
  }

  input(tokens: number): void {
    this.#instruments.inputTokens.observe(tokens);
  }

  cached(tokens: number): void {
    this.#instruments.cachedTokens.observe(tokens);
  }

  output(tokens: number): void {
    if (tokens === 0) return;
    const now = performance.now();
    if (this.#last === 0) {
      this.stages.answered();
      this.#instruments.queued.dec();
      this.#instruments.firstToken.observe((now - this.#start) / 1_000);
    } else this.#instruments.interToken.observe((now - this.#last) / 1_000 / tokens, tokens);
    this.#last = now;
    this.#tokens += tokens;
    this.#instruments.outputTotal.inc(tokens);
  }

  end(outcome: Outcome): void {
    if (this.#over) return;
    this.#over = true;
    this.stages.end();
    this.#instruments.inflight.dec();
    this.#instruments.active.dec();
    // A request waits until its first token, or until it ends without one.
    if (this.#last === 0) this.#instruments.queued.dec();
    this.#instruments.duration.observe((performance.now() - this.#start) / 1_000);
    if (this.#tokens > 0) this.#instruments.outputTokens.observe(this.#tokens);
    this.#ended(outcome);
  }
}
