import { DynamoError } from '@dynamo/runtime';
import { encodeActiveLoad } from '../wire/load.ts';
import { processTimer, type Timer } from './clock.ts';
import type { LoadReport } from './overload-monitor.ts';

/** How long reports are gathered before the last one is sent (spec kv-router 16.3). */
const debounceMs = 1;

/** Sends a worker's load, the newest value only and never the same twice. */
export class LoadReporter implements Disposable {
  readonly #options: { workerId: bigint; publish: (payload: Uint8Array) => void; timer?: Timer };
  readonly #waiting = new Map<number, LoadReport>();
  readonly #sent = new Map<number, LoadReport>();
  #cancel: (() => void) | undefined;

  constructor(options: { workerId: bigint; publish: (payload: Uint8Array) => void; timer?: Timer }) {
    this.#options = options;
  }

  /**
   * Reports the load of one data-parallel rank.
   *
   * @throws DynamoError `invalid_argument` when the report says nothing.
   */
  report(load: LoadReport & { readonly dpRank?: number }): void {
    const { dpRank = 0, ...report } = load;
    if (Object.values(report).every((value) => value === undefined)) {
      throw new DynamoError('invalid_argument', 'worker metrics publish requires at least one load metric');
    }
    this.#waiting.set(dpRank, report);
    this.#cancel ??= (this.#options.timer ?? processTimer)(() => this.#flush(), debounceMs);
  }

  /** Drops what waits and stops the timer. */
  [Symbol.dispose](): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#waiting.clear();
  }

  #flush(): void {
    this.#cancel = undefined;
    for (const [dpRank, report] of this.#waiting) {
      if (same(report, this.#sent.get(dpRank))) continue;
      this.#sent.set(dpRank, report);
      this.#options.publish(encodeActiveLoad({ workerId: this.#options.workerId, dpRank, ...report }));
    }
    this.#waiting.clear();
  }
}

const same = (a: LoadReport, b: LoadReport | undefined): boolean =>
  b !== undefined &&
  a.activeDecodeBlocks === b.activeDecodeBlocks &&
  a.activePrefillTokens === b.activePrefillTokens &&
  a.kvUsedBlocks === b.kvUsedBlocks;
