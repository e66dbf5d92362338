import type { RdmaMetadata } from '../wire/rdma-metadata.ts';
import type { Descriptor } from './descriptor.ts';
import { whileWanted, type OperationStatus } from './operation.ts';
import type { Expected, Region } from './transfer.ts';

/** What a connector has prepared for a peer. */
export interface Offer {
  readonly metadata: RdmaMetadata;
  readonly descriptors: readonly Descriptor[];
  readonly regions: readonly Region[];
  readonly expected: Expected;
}

/**
 * Memory that waits for a peer to read it or to write it. The owner leaves it alone until `wait` returns.
 *
 * Disposing it takes the memory back: a peer that comes later is refused.
 */
export class PassiveOperation implements Disposable {
  /** What the peer needs; send it by any channel. */
  readonly metadata: RdmaMetadata;
  readonly descriptors: readonly Descriptor[];
  readonly #offer: Offer;
  readonly #finished: Promise<void>;
  #status: OperationStatus = 'initialized';

  constructor(offer: Offer) {
    this.#offer = offer;
    this.metadata = offer.metadata;
    this.descriptors = offer.descriptors;
    this.#finished = this.#follow();
    this.#finished.catch(() => {});
  }

  get status(): OperationStatus {
    return this.#status;
  }

  /**
   * Waits until a peer has finished; for ever, unless a signal ends it.
   *
   * @throws DynamoError `disconnected` when a peer that had begun went away, `response_timeout` when it fell silent.
   */
  wait(options: { signal?: AbortSignal } = {}): Promise<void> {
    return whileWanted(this.#finished, options.signal);
  }

  [Symbol.dispose](): void {
    for (const region of this.#offer.regions) region[Symbol.dispose]();
    this.#offer.expected[Symbol.dispose]();
  }

  async #follow(): Promise<void> {
    try {
      await this.#offer.expected.finished;
      this.#status = 'complete';
    } catch (error) {
      this.#status = 'errored';
      throw error;
    }
  }
}

/** Memory that a peer may read. */
export class ReadableOperation extends PassiveOperation {
  readonly kind = 'read';
}

/** Memory that a peer may write. */
export class WritableOperation extends PassiveOperation {
  readonly kind = 'write';
}
