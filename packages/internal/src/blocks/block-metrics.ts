import { Metrics, prometheusNames } from '@dynamo/metrics';
import { attach } from '@dynamo/metrics/internal';
import { DynamoError } from '@dynamo/runtime';

type TierName = 'device' | 'host' | 'disk';

const names = prometheusNames.kvbm;

/** What moved between tiers, and how often lookups found something: the `kvbm` names of the real system. */
export class BlockMetrics implements Disposable {
  readonly metrics: Metrics = new Metrics({ prefix: 'kvbm' });
  readonly #attached: Disposable | undefined;
  readonly #offloads;
  readonly #onboards;
  readonly #matched;
  readonly #rates;
  readonly #failures;
  readonly #found = { host: 0, disk: 0 };
  #asked = 0;

  /** @throws DynamoError `invalid_argument` for what is no `Metrics`. */
  constructor(to?: object) {
    const { metrics } = this;
    if (to !== undefined && !(to instanceof Metrics)) throw new DynamoError('invalid_argument', 'metrics must be a Metrics');
    this.#attached = to === undefined ? undefined : attach(to, metrics);
    this.#offloads = {
      'device host': metrics.counter(names.OFFLOAD_BLOCKS_D2H, 'Blocks copied from the device to host memory'),
      'host disk': metrics.counter(names.OFFLOAD_BLOCKS_H2D, 'Blocks copied from host memory to disk'),
      'device disk': metrics.counter(names.OFFLOAD_BLOCKS_D2D, 'Blocks copied from the device to disk'),
    };
    this.#onboards = {
      host: metrics.counter(names.ONBOARD_BLOCKS_H2D, 'Blocks copied from host memory to the device'),
      disk: metrics.counter(names.ONBOARD_BLOCKS_D2D, 'Blocks copied from disk to the first tier'),
    };
    this.#matched = metrics.counter(names.MATCHED_TOKENS, 'Tokens that lookups found in any tier');
    this.#rates = {
      host: metrics.gauge(names.HOST_CACHE_HIT_RATE, 'Share of the blocks looked up that were found in host memory'),
      disk: metrics.gauge(names.DISK_CACHE_HIT_RATE, 'Share of the blocks looked up that were found on disk'),
    };
    this.#failures = metrics.counter('failed_transfers', 'Blocks that could not be copied between tiers', { labelNames: ['to'] });
  }

  offloaded(from: TierName, to: TierName): void {
    const key = `${from} ${to}`;
    if (key === 'device host' || key === 'host disk' || key === 'device disk') this.#offloads[key].inc();
  }

  onboarded(from: TierName, blocks: number): void {
    if (from !== 'device') this.#onboards[from].inc(blocks);
  }

  failed(to: TierName): void {
    this.#failures.with({ to }).inc();
  }

  lookedUp(blocks: number, found: Readonly<Record<TierName, number>>, pageSize: number): void {
    this.#asked += blocks;
    this.#found.host += found.host;
    this.#found.disk += found.disk;
    this.#matched.inc((found.device + found.host + found.disk) * pageSize);
    if (this.#asked === 0) return;
    this.#rates.host.set(this.#found.host / this.#asked);
    this.#rates.disk.set(this.#found.disk / this.#asked);
  }

  [Symbol.dispose](): void {
    this.#attached?.[Symbol.dispose]();
  }
}
