import { DynamoError } from '@dynamo/runtime';
import type { Descriptor } from './descriptor.ts';
import { whileWanted, type OperationStatus } from './operation.ts';

/**
 * A movement of bytes that this side drives; it begins at once.
 *
 * Disposing it cancels it when it has not ended.
 */
export class ActiveOperation implements Disposable {
  readonly descriptors: readonly Descriptor[];
  readonly #cancelling = new AbortController();
  readonly #finished: Promise<void>;
  #status: OperationStatus = 'inProgress';

  constructor(descriptors: readonly Descriptor[], move: (signal: AbortSignal) => Promise<void>) {
    this.descriptors = descriptors;
    this.#finished = this.#follow(move);
    this.#finished.catch(() => {});
  }

  get status(): OperationStatus {
    return this.#status;
  }

  /**
   * Waits until the bytes have moved; returns as well when the operation was cancelled (spec nixl-connect 4).
   *
   * @throws DynamoError the reason for which the transfer failed; the memory may hold part of the bytes.
   */
  async wait(options: { signal?: AbortSignal } = {}): Promise<void> {
    await whileWanted(this.#finished, options.signal);
  }

  /**
   * Stops the movement; without effect once it is complete.
   *
   * @throws DynamoError `invalid_argument` when it has failed already.
   */
  cancel(): void {
    if (this.#status === 'errored') throw new DynamoError('invalid_argument', 'Operation is errored, unable to cancel the operation.');
    if (this.#status !== 'inProgress') return;
    this.#status = 'cancelled';
    this.#cancelling.abort(new DynamoError('cancelled', 'the transfer was cancelled'));
  }

  [Symbol.dispose](): void {
    if (this.#status === 'inProgress') this.cancel();
  }

  async #follow(move: (signal: AbortSignal) => Promise<void>): Promise<void> {
    try {
      await move(this.#cancelling.signal);
      if (this.#status === 'inProgress') this.#status = 'complete';
    } catch (error) {
      // The status may have become `cancelled` meanwhile, which is no failure.
      if ((this.#status as OperationStatus) === 'cancelled') return;
      this.#status = 'errored';
      throw error;
    }
  }
}

/** A peer's memory on its way here. */
export class ReadOperation extends ActiveOperation {
  readonly kind = 'read';

  /**
   * The descriptors that have been filled.
   *
   * @throws DynamoError `invalid_argument` before the bytes are here.
   */
  results(): readonly Descriptor[] {
    if (this.status !== 'complete') throw new DynamoError('invalid_argument', 'Operation has not completed yet, cannot get results.');
    return this.descriptors;
  }
}

/** Memory from here on its way to a peer. */
export class WriteOperation extends ActiveOperation {
  readonly kind = 'write';
}
