import { type BatchedIterable, itemsOf } from '../async/batches.ts';
import { DynamoError } from '../error.ts';
import type { InputOptions, InputReader, ResponsePlane } from '../planes/response/response-plane.ts';

/** The items of one request as its handler reads them. */
export interface RequestInput {
  readonly items: BatchedIterable<unknown>;
  /** The handler has ended: the caller is told to send no more. */
  leave(): void;
}

/** Calls home for a request's items (spec runtime-wire 7). */
export function openRequestInput(
  plane: ResponsePlane,
  options: Omit<InputOptions, 'onCancel'> & {
    /** Hears that the request ends before its items do. */
    onCancel: (how: 'stop' | 'kill', reason: DynamoError) => void;
  },
): RequestInput {
  const reader = plane.openInput({ ...options, onCancel: (how, error) => options.onCancel(how, cancelledBy(how, error)) });
  return { items: itemsOf(() => batchesFrom(reader)), leave: () => reader.leave() };
}

/** A request of one item, for a handler that takes a stream. */
export const streamOfOne = (item: unknown): BatchedIterable<unknown> =>
  itemsOf(async function* () {
    yield [item];
  });

async function* batchesFrom(reader: InputReader): AsyncGenerator<readonly unknown[]> {
  try {
    for (let batch = await reader.next(); batch !== undefined; batch = await reader.next()) yield batch;
  } finally {
    reader.leave();
  }
}

/** The reason that a handler's signal gets is always `cancelled`; what broke off the items stands behind it. */
const cancelledBy = (kind: 'stop' | 'kill', error: DynamoError): DynamoError =>
  error.code === 'cancelled' ? error : new DynamoError('cancelled', `the request was killed: ${error.message}`, { cause: error, data: { kind } });
