import { DynamoError } from '../error.ts';
import type { Logger } from '../log.ts';

/** What a canary watches and how. */
export interface CanaryOptions {
  /** Sends the health check through the handler: the first item, undefined when there was none. */
  readonly check: () => Promise<unknown>;
  /** Wait without traffic before a check, in milliseconds. */
  readonly waitMs: number;
  /** Told after each check and each sign of life. */
  readonly onStatus: (ready: boolean) => void;
  readonly endpoint: string;
  readonly log: Logger;
}

/**
 * Checks an idle endpoint by a request of its own, and takes traffic as proof of life (spec runtime-wire 12).
 *
 * Disposing ends the checks; one that is under way counts no more.
 */
export class Canary implements Disposable {
  readonly #options: CanaryOptions;
  readonly #timer: NodeJS.Timeout;
  #checking = false;
  #ended = false;

  constructor(options: CanaryOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => void this.#check(), options.waitMs).unref();
  }

  /** A request has got an item: the endpoint lives, and the wait begins anew. */
  sawTraffic(): void {
    if (this.#ended) return;
    this.#options.onStatus(true);
    this.#timer.refresh();
  }

  [Symbol.dispose](): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  async #check(): Promise<void> {
    this.#timer.refresh();
    if (this.#checking) return;
    this.#checking = true;
    const { check, endpoint, log, onStatus } = this.#options;
    let failure: string | undefined;
    try {
      if ((await check()) === undefined) failure = 'no answer';
    } catch (error) {
      failure = DynamoError.from(error).message;
    }
    this.#checking = false;
    if (this.#ended) return;
    if (failure !== undefined) log.warn({ endpoint, error: failure }, 'a health check failed');
    onStatus(failure === undefined);
  }
}
