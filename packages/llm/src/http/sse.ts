import type { ServerResponse } from 'node:http';
import { DynamoError } from '@dynamo/runtime';

/** How long a client may take no byte before its connection is given up, in milliseconds: it holds a worker's slot. */
const stallMs = 120_000;

/** Headers of every event stream; the hijacked reply sends no others. */
export const sseHeaders: Readonly<Record<string, string>> = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

export const sseEnd = 'data: [DONE]\n\n';

/**
 * Resolves when the client has taken what is waiting.
 *
 * @throws DynamoError `cancelled` when it leaves or takes nothing for two minutes.
 */
export async function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || response.closed) throw clientLeft();
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: DynamoError) => (): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onDrain = settle();
    const onClose = settle(clientLeft());
    const timer = setTimeout(() => {
      settle(new DynamoError('cancelled', `the client took no data for ${stallMs} ms`))();
      response.destroy();
    }, stallMs);
    response.on('drain', onDrain).on('close', onClose);
  });
}

/** A signal that aborts when the client leaves before its answer is complete; disposing takes the listener away. */
export function leaveSignal(response: ServerResponse): { readonly signal: AbortSignal } & Disposable {
  const left = new AbortController();
  const onClose = (): void => {
    if (!response.writableFinished) left.abort(clientLeft());
  };
  response.once('close', onClose);
  if (response.closed) onClose();
  return { signal: left.signal, [Symbol.dispose]: () => void response.off('close', onClose) };
}

/** A real frontend kills the worker's request when its client leaves (spec llm 2.4). */
const clientLeft = (): DynamoError => new DynamoError('cancelled', 'the client left', { data: { kind: 'kill' } });
