import { DynamoError } from '../error.ts';
import { Context } from './context.ts';
import type { Handler } from './handler.ts';
import { streamOfOne } from './request-input.ts';

/** What a call inside the process may be told. */
export interface LocalCallOptions {
  /** What the handler takes. */
  readonly input: 'item' | 'stream';
  /** Longest wait for the first item, and then for the rest, in milliseconds; none by default. */
  readonly limitMs?: number;
  /** Aborting it kills the call. */
  readonly signal: AbortSignal;
}

/**
 * Runs a handler on one request without anything on the wire, and gives the first item of its answer; undefined when there
 * was none. The rest is read and thrown away, so that the handler comes to its own end.
 *
 * @throws DynamoError `response_timeout` when there is no first item in time, and whatever the handler throws.
 */
export async function callLocally(
  handler: Handler<unknown, unknown>,
  request: unknown,
  options: LocalCallOptions,
): Promise<{ readonly item: unknown } | undefined> {
  const { input, limitMs, signal } = options;
  const context = new Context();
  const over = Promise.withResolvers<never>();
  const end = (error: DynamoError): void => {
    context.kill(error);
    over.reject(error);
  };
  const onAbort = (): void => end(DynamoError.from(signal.reason));
  const timer = limitMs === undefined ? undefined : setTimeout(() => end(tooLate(limitMs)), limitMs);
  signal.addEventListener('abort', onAbort, { once: true });
  const close = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
    context[Symbol.dispose]();
  };
  over.promise.catch(() => {});
  let items: AsyncIterator<unknown> | undefined;
  try {
    if (signal.aborted) onAbort();
    items = handler(input === 'stream' ? streamOfOne(request) : request, context)[Symbol.asyncIterator]();
    const first = await Promise.race([items.next(), over.promise]);
    if (first.done === true) {
      close();
      return undefined;
    }
    timer?.refresh();
    // It has the limit's time once more, and nobody waits for it.
    void rest(items, over.promise).finally(close);
    return { item: first.value };
  } catch (error) {
    close();
    Promise.resolve(items?.return?.()).catch(() => {});
    throw error;
  }
}

/** Reads to the end; never rejects. */
async function rest(items: AsyncIterator<unknown>, over: Promise<never>): Promise<void> {
  try {
    for (;;) if ((await Promise.race([items.next(), over])).done === true) return;
  } catch {
    Promise.resolve(items.return?.()).catch(() => {});
  }
}

const tooLate = (ms: number): DynamoError => new DynamoError('response_timeout', `no answer within ${ms} ms`, { data: { ms } });
