import { DynamoError } from '../error.ts';

/** An endpoint's record in discovery, put and withdrawn one step after the other however calls overlap. */
export class Registration {
  readonly #put: () => Promise<AsyncDisposable>;
  #record: AsyncDisposable | undefined;
  #ended = false;
  #last: Promise<void> = Promise.resolve();

  constructor(put: () => Promise<AsyncDisposable>) {
    this.#put = put;
  }

  /**
   * Publishes the record if it is not there.
   *
   * @throws DynamoError `unavailable` when the endpoint has begun to end.
   */
  resume(): Promise<void> {
    return this.#next(async () => {
      if (this.#ended) throw new DynamoError('unavailable', 'the endpoint is shutting down and does not come back');
      this.#record ??= await this.#put();
    });
  }

  /** Withdraws the record if it is there. */
  pause(): Promise<void> {
    return this.#next(async () => {
      await this.#record?.[Symbol.asyncDispose]();
      this.#record = undefined;
    });
  }

  /** Withdraws the record for good. */
  end(): Promise<void> {
    this.#ended = true;
    return this.pause();
  }

  #next(step: () => Promise<void>): Promise<void> {
    const result = this.#last.then(step);
    // Whoever asked hears of a failure; the next step is not held up by it.
    this.#last = result.catch(() => {});
    return result;
  }
}
