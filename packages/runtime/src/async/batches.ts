/**
 * Names the method by which a stream hands out what arrived together as one array.
 *
 * Users see `AsyncIterable<T>`; the stages and routes of a pipeline ask for batches, so that a token costs no promise
 * (docs/decisions/2026-11-24-batches-inside.md).
 */
export const batches: unique symbol = Symbol.for('dynamo.batches');

/** A stream of items that can also be read batch by batch. Read it one way or the other, once. */
export interface BatchedIterable<T> extends AsyncIterable<T> {
  [batches](): AsyncIterable<readonly T[]>;
}

/** The batches of any stream: its own where it has them, else one item each. */
export function batchesOf<T>(stream: AsyncIterable<T>): AsyncIterable<readonly T[]> {
  const own = (stream as Partial<BatchedIterable<T>>)[batches];
  return own === undefined ? oneByOne(stream) : own.call(stream as BatchedIterable<T>);
}

async function* oneByOne<T>(stream: AsyncIterable<T>): AsyncGenerator<readonly T[]> {
  for await (const item of stream) yield [item];
}

/** Makes the item view of a stream of batches. The batches are opened on the first pull. */
export function itemsOf<T>(open: () => AsyncIterable<readonly T[]>): BatchedIterable<T> {
  return { [batches]: open, [Symbol.asyncIterator]: () => new ItemIterator(open()[Symbol.asyncIterator]()) };
}

/** Answers from the batch at hand with a ready promise and pulls only when it is used up (hot-path measurements: a generator costs twice as much). */
class ItemIterator<T> implements AsyncIterableIterator<T> {
  #batch: readonly T[] = [];
  #next = 0;
  readonly #source: AsyncIterator<readonly T[]>;
  constructor(source: AsyncIterator<readonly T[]>) {
    this.#source = source;
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
  next(): Promise<IteratorResult<T>> {
    if (this.#next < this.#batch.length) return Promise.resolve({ value: this.#batch[this.#next++] as T, done: false });
    return this.#pull();
  }
  async return(): Promise<IteratorResult<T>> {
    this.#batch = [];
    this.#next = 0;
    await this.#source.return?.();
    return { value: undefined, done: true };
  }
  async #pull(): Promise<IteratorResult<T>> {
    for (;;) {
      const pulled = await this.#source.next();
      if (pulled.done === true) return { value: undefined, done: true };
      if (pulled.value.length === 0) continue;
      this.#batch = pulled.value;
      this.#next = 1;
      return { value: pulled.value[0] as T, done: false };
    }
  }
}
