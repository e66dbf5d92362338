import { DynamoError } from '../error.ts';

/** How long aborted requests may take to tell their callers, in milliseconds. */
const lastWordsMs = 1_000;

/** The requests that an endpoint has taken and not finished, those that wait for a place included. */
export class Taken {
  /** Aborts what is left when the time to drain is over. */
  readonly signal: AbortSignal;
  readonly #abandon = new AbortController();
  #count = 0;
  #idle: PromiseWithResolvers<void> | undefined;

  constructor() {
    this.signal = this.#abandon.signal;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    if (--this.#count > 0) return;
    this.#idle?.resolve();
    this.#idle = undefined;
  }

  /** Requests go on to their end; after the limit they are aborted, and their callers hear `cancelled` (spec runtime-wire 12). */
  async drain(limitMs: number): Promise<void> {
    if (this.#count === 0) return;
    const idle = (this.#idle ??= Promise.withResolvers<void>()).promise;
    if (await within(limitMs, idle)) return;
    this.#abandon.abort(new DynamoError('cancelled', 'the worker is shutting down', { origin: 'backend', data: { kind: 'kill' } }));
    await within(lastWordsMs, idle);
  }
}

/** Whether a promise settles in time. */
async function within(ms: number, promise: Promise<void>): Promise<boolean> {
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([promise.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
