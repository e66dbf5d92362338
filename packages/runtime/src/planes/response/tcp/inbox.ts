import type { DynamoError } from '../../../error.ts';

/** How many decoded items may wait for a slow consumer before the socket is paused. */
const waitingItems = 1024;

/** How many bytes of items may wait, that is: a few reads of the socket. */
const waitingBytes = 4 * 1024 * 1024;

/** Who fills an inbox: told when there is room again. */
export interface InboxReader {
  taken(): void;
}

/** Items that were read and not yet taken, and how their stream ended. One consumer. */
export class Inbox {
  #items: unknown[] = [];
  #bytes = 0;
  #ended = false;
  #error: DynamoError | undefined;
  #wake: (() => void) | undefined;

  /** No more comes; what waits can still be taken. */
  get ended(): boolean {
    return this.#ended;
  }

  /** What is thrown behind the last item. */
  get error(): DynamoError | undefined {
    return this.#error;
  }

  get empty(): boolean {
    return this.#items.length === 0;
  }

  /** Whether as much waits as may. */
  get full(): boolean {
    return this.#items.length >= waitingItems || (this.#items.length > 0 && this.#bytes >= waitingBytes);
  }

  push(item: unknown): void {
    this.#items.push(item);
  }

  /** Counts the bytes that brought the items, and wakes the consumer if there are any. */
  came(bytes: number): void {
    this.#bytes += bytes;
    if (this.#items.length > 0) this.#ring();
  }

  /** Keeps the first error, to be thrown when the stream ends. */
  spoil(error: DynamoError): void {
    this.#error ??= error;
  }

  end(): void {
    this.#ended = true;
    this.#ring();
  }

  /** All that waits, or undefined at the end. The reader is told before items are handed out, so that it may go on. */
  async next(reader: InboxReader): Promise<readonly unknown[] | undefined> {
    for (;;) {
      if (this.#items.length > 0) {
        const batch = this.#items;
        this.#items = [];
        this.#bytes = 0;
        reader.taken();
        return batch;
      }
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  #ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
