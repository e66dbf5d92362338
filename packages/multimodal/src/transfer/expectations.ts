import { DynamoError } from '@dynamo/runtime';
import type { Expected } from './transfer.ts';

/** Most keys of one agent that wait at once. */
const maxKeys = 1_000_000;

/** The notification keys that an agent waits for. */
export class Expectations {
  readonly #waiting = new Map<string, PromiseWithResolvers<void>>();

  expect(key: string): Expected {
    if (this.#waiting.size >= maxKeys)
      throw new DynamoError('resource_exhausted', `more than ${maxKeys} transfers wait at one agent`, { data: { limit: maxKeys } });
    const waiting = Promise.withResolvers<void>();
    // Whoever never waits for it must not bring the process down.
    waiting.promise.catch(() => {});
    this.#waiting.set(key, waiting);
    return { finished: waiting.promise, [Symbol.dispose]: () => void this.#waiting.delete(key) };
  }

  /** A peer has finished with this key; keys that nobody waits for any more are let go. */
  finish(key: string): void {
    this.#waiting.get(key)?.resolve();
  }

  /** A peer that had begun went away: half of the bytes may have moved. */
  fail(key: string, error: DynamoError): void {
    this.#waiting.get(key)?.reject(error);
  }

  failAll(error: DynamoError): void {
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}
