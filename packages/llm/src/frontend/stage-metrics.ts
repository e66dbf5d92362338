import type { Counter, Gauge, Histogram, Metrics } from '@dynamo/metrics';
import { buckets } from './metric-buckets.ts';

/** Where a request is before its first token. */
type Place = 'preprocess' | 'route' | 'dispatch';

/** What a request spends on its way to a worker and back, with the real frontend's names (spec metrics 6). */
export class StageMetrics {
  readonly places: Readonly<Record<Place, Gauge>>;
  readonly spent: Readonly<Record<'preprocess' | 'route' | 'transport_roundtrip', Histogram>>;
  readonly template: Histogram;
  readonly tokenize: Histogram;
  readonly latency: Readonly<Record<'tokenize' | 'detokenize', Histogram>>;
  readonly detokenizeUs: Counter;
  readonly detokenized: Counter;

  constructor(metrics: Metrics) {
    const places = metrics.gauge('stage_requests', 'Number of requests currently in the given pipeline stage', { labelNames: ['phase', 'stage'] });
    this.places = {
      preprocess: places.with({ phase: '', stage: 'preprocess' }),
      route: places.with({ phase: 'aggregated', stage: 'route' }),
      dispatch: places.with({ phase: 'aggregated', stage: 'dispatch' }),
    };
    const spent = metrics.histogram('stage_duration_seconds', 'Pipeline stage duration (seconds)', { labelNames: ['stage'], buckets: buckets.stage });
    this.spent = {
      preprocess: spent.with({ stage: 'preprocess' }),
      route: spent.with({ stage: 'route' }),
      transport_roundtrip: spent.with({ stage: 'transport_roundtrip' }),
    };
    this.template = metrics.histogram('template_seconds', 'Template application time in preprocessor (seconds)', { buckets: buckets.template });
    this.tokenize = metrics.histogram('tokenize_seconds', 'Tokenization time in preprocessor (seconds)', { buckets: buckets.tokenize });
    const latency = metrics.histogram('tokenizer_latency_ms', 'Tokenizer latency in milliseconds', {
      labelNames: ['operation'],
      buckets: buckets.tokenizerMs,
    });
    this.latency = { tokenize: latency.with({ operation: 'tokenize' }), detokenize: latency.with({ operation: 'detokenize' }) };
    this.detokenizeUs = metrics.counter('detokenize_total_us', 'Cumulative detokenization time (microseconds)');
    this.detokenized = metrics.counter('detokenize_token_count', 'Total tokens detokenized');
  }
}

/** One request on its way: every step is told once, whatever is told twice is told to deaf ears. */
export class StageWatch {
  readonly #metrics: StageMetrics;
  #place: Place | undefined;
  #since = 0;
  #tokenizeMs = 0;
  #detokenizeMs = 0;
  #tokens = 0;

  constructor(metrics: StageMetrics) {
    this.#metrics = metrics;
  }

  /** Its prompt is about to be made. */
  begin(): void {
    this.#enter('preprocess');
  }

  /** Its prompt is ready, after so many milliseconds for the template and the tokenizer. */
  prepared(ms: { readonly template?: number; readonly tokenize?: number }): void {
    if (this.#place !== 'preprocess') return;
    if (ms.template !== undefined) this.#metrics.template.observe(ms.template / 1_000);
    if (ms.tokenize !== undefined) this.#metrics.tokenize.observe(ms.tokenize / 1_000);
    this.#tokenizeMs = ms.tokenize ?? 0;
    this.#metrics.spent.preprocess.observe(this.#elapsed());
    this.#enter('route');
  }

  /** It has been given to a worker. */
  sent(): void {
    if (this.#place !== 'route') return;
    this.#metrics.spent.route.observe(this.#elapsed());
    this.#enter('dispatch');
  }

  /** Something has come back. */
  answered(): void {
    if (this.#place === undefined) return;
    if (this.#place === 'dispatch') this.#metrics.spent.transport_roundtrip.observe(this.#elapsed());
    this.#enter(undefined);
  }

  /** Tokens have become text. */
  detokenized(ms: number, tokens: number): void {
    this.#detokenizeMs += ms;
    this.#tokens += tokens;
  }

  /** It is over, however. */
  end(): void {
    this.#enter(undefined);
    if (this.#tokens === 0) return;
    this.#metrics.latency.tokenize.observe(this.#tokenizeMs);
    this.#metrics.latency.detokenize.observe(this.#detokenizeMs / this.#tokens);
    this.#metrics.detokenizeUs.inc(Math.round(this.#detokenizeMs * 1_000));
    this.#metrics.detokenized.inc(this.#tokens);
    this.#tokens = 0;
  }

  #elapsed(): number {
    return (performance.now() - this.#since) / 1_000;
  }

  #enter(place: Place | undefined): void {
    if (this.#place !== undefined) this.#metrics.places[this.#place].dec();
    if (place !== undefined) this.#metrics.places[place].inc();
    this.#place = place;
    this.#since = performance.now();
  }
}
