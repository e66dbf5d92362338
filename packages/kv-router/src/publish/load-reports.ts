import { DynamoError } from '@dynamo/runtime';
import { encodeMsgpack, type EventPublisher } from '@dynamo/runtime/internal';

/** How full one rank is; what is left out keeps what was told before. */
export interface LoadReport {
  /** Blocks of requests that are being decoded. */
  activeDecodeBlocks?: number;
  /** Blocks of the KV cache in use. */
  kvUsedBlocks?: number;
  /** Data-parallel rank; the publisher's own by default. */
  dpRank?: number;
}

/** How long reports are gathered before the newest goes out, in milliseconds (spec kv-router 16.3). */
const debounceMs = 1;

/** Publishes the newest load of each rank; what has not changed is not said again (spec kv-router 16.3). */
export class LoadReports implements Disposable {
  readonly #workerId: bigint;
  readonly #publisher: EventPublisher;
  readonly #waiting = new Map<number, LoadReport>();
  readonly #sent = new Map<number, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(workerId: bigint, publisher: EventPublisher) {
    this.#workerId = workerId;
    this.#publisher = publisher;
  }

  /**
   * Notes a report.
   *
   * @throws DynamoError `invalid_argument` without a measure, or for one that is no count.
   */
  report(report: LoadReport, dpRank: number): void {
    const { activeDecodeBlocks, kvUsedBlocks } = report;
    if (activeDecodeBlocks === undefined && kvUsedBlocks === undefined)
      throw new DynamoError('invalid_argument', 'a load report needs activeDecodeBlocks or kvUsedBlocks');
    for (const [name, value] of Object.entries({ activeDecodeBlocks, kvUsedBlocks })) {
      if (value !== undefined && (!Number.isSafeInteger(value) || value < 0))
        throw new DynamoError('invalid_argument', `${name} must be a count, got ${value}`, { data: { name, value } });
    }
    this.#waiting.set(dpRank, { ...this.#waiting.get(dpRank), ...report });
    this.#timer ??= setTimeout(() => this.#flush(), debounceMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#flush();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const [dpRank, { activeDecodeBlocks, kvUsedBlocks }] of this.#waiting) {
      const measures = { active_decode_blocks: activeDecodeBlocks ?? null, active_prefill_tokens: null, kv_used_blocks: kvUsedBlocks ?? null };
      const text = JSON.stringify(measures);
      if (this.#sent.get(dpRank) === text) continue;
      this.#sent.set(dpRank, text);
      this.#publisher.publish(encodeMsgpack({ worker_id: this.#workerId, dp_rank: dpRank, ...measures }));
    }
    this.#waiting.clear();
  }
}
