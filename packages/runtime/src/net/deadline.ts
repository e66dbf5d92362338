/**
 * A time limit on a peer. A busy event loop runs its late timers before it reads its sockets; so when the time is over, what
 * has come meanwhile is read first, and only then is the limit passed.
 */
export class Deadline {
  readonly #ms: number;
  readonly #onPass: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number, onPass: () => void) {
    this.#ms = ms;
    this.#onPass = onPass;
  }

  /** Begins, or begins anew, with a limit of its own if one is given. Does not keep the process alive. */
  start(ms: number = this.#ms): void {
    this.stop();
    const timer = setTimeout(() => {
      setImmediate(() => {
        if (this.#timer === timer) this.#onPass();
      });
    }, ms).unref();
    this.#timer = timer;
  }

  stop(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
