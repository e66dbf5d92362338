import { DynamoError } from '@dynamo/runtime';
import { encodeActiveLoad } from '../wire/load.ts';
import { processTimer, type Timer } from './clock.ts';

/** How long reports are gathered before the last one is sent (spec kv-router 16.3). */
const debounceMs = 1;

/** How full one rank is. */
export interface LoadReport {
  /** Blocks of requests that are being decoded. */
  activeDecodeBlocks?: number;
  /** Blocks of the KV cache in use. */
  kvUsedBlocks?: number;
  /** Data-parallel rank; the publisher's own by default. */
  dpRank?: number;
}

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
   * @throws DynamoError `invalid_argument` when the report says nothing, or something that is no count.
   */
  report(load: LoadReport): void {
    const { dpRank = 0, activeDecodeBlocks, kvUsedBlocks } = load;
    if (activeDecodeBlocks === undefined && kvUsedBlocks === undefined) {
      throw new DynamoError('invalid_argument', 'worker metrics publish requires at least one load metric');
    }
    for (const [name, value] of Object.entries({ activeDecodeBlocks, kvUsedBlocks, dpRank })) {
      if (value !== undefined && (!Number.isSafeInteger(value) || value < 0))
        throw new DynamoError('invalid_argument', `${name} must be a count, got ${value}`, { data: { name, value } });
    }
    this.#waiting.set(dpRank, load);
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
      this.#options.publish(encodeActiveLoad({ workerId: this.#options.workerId, ...report, dpRank }));
    }
    this.#waiting.clear();
  }
}

const same = (a: LoadReport, b: LoadReport | undefined): boolean =>
  b !== undefined && a.activeDecodeBlocks === b.activeDecodeBlocks && a.kvUsedBlocks === b.kvUsedBlocks;
