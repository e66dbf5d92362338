import type { Handler } from '@dynamo/runtime';
import { batchesOf, itemsOf } from '@dynamo/runtime/internal';

/** Counts the requests that a handler is at. */
export class RunningRequests {
  count = 0;
  readonly #waiting = new Set<() => void>();

  /** The same handler, counted from its first pull to its end. */
  counting(handler: Handler<never, unknown>): Handler<never, unknown> {
    return (request, context) => {
      const answer = handler(request, context);
      const enter = (): void => this.enter();
      const leave = (): void => this.leave();
      return itemsOf(async function* () {
        enter();
        try {
          yield* batchesOf(answer);
        } finally {
          leave();
        }
      });
    };
  }

  /** One more. */
  enter(): void {
    this.count++;
  }

  /** One less. */
  leave(): void {
    if (--this.count > 0) return;
    for (const settle of [...this.#waiting]) settle();
  }

  /** Settles when there are none. */
  async idle(signal?: AbortSignal): Promise<void> {
    if (this.count === 0) return;
    await new Promise<void>((resolve, reject) => {
      const settle = (end: () => void) => (): void => {
        this.#waiting.delete(onIdle);
        signal?.removeEventListener('abort', onAbort);
        end();
      };
      const onIdle = settle(resolve);
      const onAbort = settle(() => reject(signal?.reason as Error));
      this.#waiting.add(onIdle);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
    });
  }
}
