/** How many items may be ahead of the oldest one that is not written yet, for each that is worked on. */
const windowFactor = 16;

/** What is done with each item. */
export interface InOrder<T, R> {
  readonly concurrency: number;
  /** Aborting it begins nothing more; what `work` gives then is not written. */
  readonly signal: AbortSignal;
  readonly work: (item: T) => Promise<R>;
  readonly write: (result: R) => Promise<void>;
}

/** Works on several items at once and writes their results in the order of the items; what waits to be written is bounded. */
export async function inOrder<T, R>(items: AsyncIterable<T>, { concurrency, signal, work, write }: InOrder<T, R>): Promise<void> {
  const source = items[Symbol.asyncIterator]();
  const finished = new Map<number, R>();
  const failed = new AbortController();
  let taken = 0;
  let written = 0;
  let writing = Promise.resolve();
  let room = Promise.withResolvers<void>();
  const over = (): boolean => signal.aborted || failed.signal.aborted;
  const advance = (): void => {
    room.resolve();
    room = Promise.withResolvers<void>();
  };
  const flush = async (): Promise<void> => {
    for (let result = finished.get(written); result !== undefined && !over(); result = finished.get(written)) {
      finished.delete(written);
      await write(result);
      written++;
      advance();
    }
  };
  const lane = async (): Promise<void> => {
    while (!over()) {
      if (taken - written >= concurrency * windowFactor) {
        await room.promise;
        continue;
      }
      const at = taken++;
      const step = await source.next();
      if (step.done === true) return;
      const result = await work(step.value);
      if (over()) return;
      finished.set(at, result);
      writing = writing.then(flush);
      await writing;
    }
  };
  const guarded = async (): Promise<void> => {
    try {
      await lane();
    } catch (error) {
      failed.abort(error);
    } finally {
      advance();
    }
  };
  signal.addEventListener('abort', advance, { once: true });
  try {
    await Promise.all(Array.from({ length: concurrency }, guarded));
  } finally {
    signal.removeEventListener('abort', advance);
    await source.return?.();
  }
  failed.signal.throwIfAborted();
}
