/** Events that may wait for a worker before its client is not read any further, and below how many it is again. */
const marks = { high: 64, low: 16 } as const;

/** What a client has said and its worker has not read. It is bounded, since a client that is not read waits. */
export class InputQueue implements AsyncIterable<unknown> {
  readonly #flow: (free: boolean) => void;
  readonly #waiting: unknown[] = [];
  #full = false;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(flow: (free: boolean) => void) {
    this.#flow = flow;
  }

  push(event: unknown): void {
    if (this.#ended) return;
    this.#waiting.push(event);
    if (!this.#full && this.#waiting.length >= marks.high) this.#flow(!(this.#full = true));
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    if (this.#full) this.#flow(!(this.#full = false));
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<unknown> {
    for (;;) {
      while (this.#waiting.length > 0) {
        const event = this.#waiting.shift();
        if (this.#full && this.#waiting.length <= marks.low) {
          this.#full = false;
          this.#flow(true);
        }
        yield event;
      }
      if (this.#ended) return;
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
  }
}
