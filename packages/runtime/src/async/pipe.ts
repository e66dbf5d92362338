import { type BatchedIterable, batchesOf, itemsOf } from './batches.ts';

/**
 * One stage's work on one stream: synchronous, batch in, batch out.
 *
 * Once `done` is true the stream is complete for this stage: no more is pushed, the source is left (which stops the
 * worker), and the later stages are still flushed.
 */
export interface Run<I, O> {
  push(batch: readonly I[]): readonly O[];
  /** What is still held when the source has ended. */
  end?(): readonly O[];
  readonly done?: boolean;
}

/** A stage makes a run for each stream; the stream's state lives in the run. */
export type Stage<I, O> = () => Run<I, O>;

/** Joins a source and stages into one stream; one promise a batch, however many stages. */
export function pipe<A>(source: AsyncIterable<A>): BatchedIterable<A>;
export function pipe<A, B>(source: AsyncIterable<A>, a: Stage<A, B>): BatchedIterable<B>;
export function pipe<A, B, C>(source: AsyncIterable<A>, a: Stage<A, B>, b: Stage<B, C>): BatchedIterable<C>;
export function pipe<A, B, C, D>(source: AsyncIterable<A>, a: Stage<A, B>, b: Stage<B, C>, c: Stage<C, D>): BatchedIterable<D>;
export function pipe<A, B, C, D, E>(source: AsyncIterable<A>, a: Stage<A, B>, b: Stage<B, C>, c: Stage<C, D>, d: Stage<D, E>): BatchedIterable<E>;
export function pipe<A, B, C, D, E, F>(
  source: AsyncIterable<A>,
  a: Stage<A, B>,
  b: Stage<B, C>,
  c: Stage<C, D>,
  d: Stage<D, E>,
  e: Stage<E, F>,
): BatchedIterable<F>;
export function pipe(source: AsyncIterable<unknown>, ...stages: readonly Stage<never, unknown>[]): BatchedIterable<unknown> {
  return itemsOf(() =>
    fuse(
      source,
      stages.map((stage) => stage() as Run<unknown, unknown>),
    ),
  );
}

async function* fuse(source: AsyncIterable<unknown>, runs: readonly Run<unknown, unknown>[]): AsyncGenerator<readonly unknown[]> {
  for await (let batch of batchesOf(source)) {
    let ended = false;
    for (const run of runs) {
      if (batch.length > 0) batch = run.push(batch);
      if (run.done === true) ended = true;
    }
    if (batch.length > 0) yield batch;
    if (ended) break;
  }
  yield* flush(runs);
}

/** Run k's rest passes through the runs behind it. */
function* flush(runs: readonly Run<unknown, unknown>[]): Generator<readonly unknown[]> {
  for (const [index, run] of runs.entries()) {
    let batch = run.end?.() ?? [];
    for (const later of runs.slice(index + 1)) if (batch.length > 0) batch = later.push(batch);
    if (batch.length > 0) yield batch;
  }
}

/** Everything a stream holds, as one array. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const batch of batchesOf(stream)) for (const item of batch) all.push(item);
  return all;
}
