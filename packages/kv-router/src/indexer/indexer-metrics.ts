import { Metrics } from '@dynamo/metrics';
import type { DoorOptions } from '../http/door.ts';
import type { EngineGroup } from './engine-group.ts';

/** Twenty bounds, each twice the one before, from a tenth of a millisecond on (spec kv-router 20, captured). */
const buckets = Array.from({ length: 20 }, (_, at) => Number((0.0001 * 2 ** at).toFixed(4)));

const statuses = ['active', 'failed', 'paused', 'pending'] as const;

/** What the indexer counts of its requests and engines, under the names of the real one. */
export class IndexerMetrics {
  readonly #metrics = new Metrics();
  readonly #errors = this.#metrics.counter('dynamo_kvindexer_errors_total', 'HTTP error responses (4xx/5xx)', {
    labelNames: ['endpoint', 'status_class'],
  });
  readonly #requests = this.#metrics.counter('dynamo_kvindexer_requests_total', 'Total HTTP requests', { labelNames: ['endpoint', 'method'] });
  readonly #seconds = this.#metrics.histogram('dynamo_kvindexer_request_duration_seconds', 'HTTP request latency', {
    labelNames: ['endpoint'],
    buckets,
  });
  readonly #listeners = this.#metrics.gauge('dynamo_kvindexer_listeners', 'Number of ZMQ listeners by status', { labelNames: ['status'] });
  readonly #models = this.#metrics.gauge('dynamo_kvindexer_models', 'Number of active model+routing-group indexers');
  readonly #workers = this.#metrics.gauge('dynamo_kvindexer_workers', 'Number of registered worker instances');
  readonly #outcomes = this.#metrics.gauge('dynamo_kvrouter_kv_cache_events', 'Events of the engines now in an index, by what became of them', {
    labelNames: ['status'],
  });

  /** Counts an answer of a known path; scrapes themselves are not counted. */
  readonly answered: NonNullable<DoorOptions['answered']> = ({ path, method, status, seconds }) => {
    if (path === '/metrics') return;
    this.#requests.with({ endpoint: path, method }).inc();
    this.#seconds.with({ endpoint: path }).observe(seconds);
    if (status >= 400) this.#errors.with({ endpoint: path, status_class: `${Math.floor(status / 100)}xx` }).inc();
  };

  /** The text of a scrape. */
  text(groups: readonly EngineGroup[]): Promise<string> {
    const engines = groups.flatMap((group) => group.engines);
    const active = engines.reduce((sum, { endpoints }) => sum + endpoints.size, 0);
    for (const status of statuses) this.#listeners.with({ status }).set(status === 'active' ? active : 0);
    this.#models.set(groups.length);
    this.#workers.set(engines.length);
    const sums: Record<string, number> = {};
    for (const group of groups) for (const [status, count] of Object.entries(group.index.counts().events)) sums[status] = (sums[status] ?? 0) + count;
    for (const [status, count] of Object.entries(sums)) this.#outcomes.with({ status }).set(count);
    return this.#metrics.text();
  }
}
