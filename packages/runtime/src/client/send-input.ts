import { batchesOf } from '../async/batches.ts';
import { DynamoError } from '../error.ts';
import type { InputWriter } from '../planes/response/response-plane.ts';

/** Whether a request is a stream of items (spec runtime-wire 7). */
export const isStream = (request: unknown): request is AsyncIterable<unknown> =>
  typeof request === 'object' && request !== null && Symbol.asyncIterator in request;

/** A request's items on their way to a worker. Disposing ends what is still under way, by the word that the options say then. */
export type SentInput = Disposable;

/**
 * Pulls a request's items once their worker has called home, and sends them as fast as it takes them.
 *
 * A worker that wants no more leaves the source. A source that throws kills the request: half an input must not look like
 * a whole one.
 */
export function sendInput(
  source: AsyncIterable<unknown>,
  writer: InputWriter,
  options: { encode: (item: unknown) => Uint8Array; onFailure: (error: unknown) => void; word: () => 'stop' | 'kill' },
): SentInput {
  let iterator: AsyncIterator<readonly unknown[]> | undefined;
  let over = false;
  // Not waited for: a source may be in the middle of a wait of its own, and its failures have nobody left to go to.
  const leave = (): void => {
    if (over) return;
    over = true;
    Promise.resolve(iterator?.return?.()).catch(() => {});
  };
  const pump = async (): Promise<void> => {
    if (!(await writer.ready) || over) return;
    const items = (iterator = batchesOf(source)[Symbol.asyncIterator]());
    for (;;) {
      const step = await items.next();
      if (over) return;
      if (step.done === true) break;
      const full = writer.write(step.value.map((item) => options.encode(item)));
      if (full !== undefined) await full;
      if (over) return;
    }
    over = true;
    writer.end('done');
  };
  void writer.closed.then(leave);
  pump().catch((error: unknown) => {
    if (over) return;
    leave();
    writer.end('kill');
    options.onFailure(error);
  });
  return {
    [Symbol.dispose]() {
      leave();
      writer.end(options.word());
    },
  };
}

/** The error of a source as its reader gets it; `data.input` says that it came from there. */
export function inputError(error: unknown): DynamoError {
  const { code, message, origin, data } = DynamoError.from(error);
  return new DynamoError(code, message, { origin, data: { ...data, input: true }, cause: error });
}
