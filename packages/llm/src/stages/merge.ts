/** Joins streams of batches as they come, each batch with the number of its stream; leaving it leaves them all. */
export async function* merge<T>(streams: readonly AsyncIterable<readonly T[]>[]): AsyncGenerator<{ from: number; batch: readonly T[] }> {
  const iterators = streams.map((stream) => stream[Symbol.asyncIterator]());
  const pull = async (from: number): Promise<{ from: number; result: IteratorResult<readonly T[]> }> => ({
    from,
    result: await (iterators[from] as AsyncIterator<readonly T[]>).next(),
  });
  const pending = new Map(iterators.map((_iterator, from) => [from, pull(from)]));
  try {
    while (pending.size > 0) {
      const { from, result } = await Promise.race(pending.values());
      if (result.done === true) {
        pending.delete(from);
        continue;
      }
      yield { from, batch: result.value };
      pending.set(from, pull(from));
    }
  } finally {
    // A pull that is still waiting ends with its iterator; its failure has no reader any more.
    for (const waiting of pending.values()) waiting.catch(() => undefined);
    await Promise.all(iterators.map((iterator) => iterator.return?.()));
  }
}
