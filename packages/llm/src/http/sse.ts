import type { ServerResponse } from 'node:http';
import { DynamoError } from '@dynamo/runtime';
import { factsOf, isComplete, isGone } from './response-facts.ts';

/** How long a client may take no byte before its connection is given up, in milliseconds: it holds a worker's slot. */
export const defaultReaderMs = 120_000;

/** Headers of every event stream; the hijacked reply sends no others. */
export const sseHeaders: Readonly<Record<string, string>> = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' };

export const sseEnd = 'data: [DONE]\n\n';

/**
 * Resolves when the client has taken what is waiting.
 *
 * @throws DynamoError `cancelled` when it leaves or takes nothing for too long, and whatever cuts the answer.
 */
export async function drained(response: ServerResponse): Promise<void> {
  if (isGone(response)) throw clientLeft();
  const facts = factsOf(response);
  const stallMs = facts?.readerMs ?? defaultReaderMs;
  await new Promise<void>((resolve, reject) => {
    const settle = (error?: DynamoError) => (): void => {
      clearTimeout(timer);
      response.off('drain', onDrain).off('close', onClose);
      cutting?.[Symbol.dispose]();
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
    const cutting = facts?.onCut((error) => queueMicrotask(settle(error)));
  });
}

/** What ends an answer from the client's side or the server's own. */
export interface AnswerWatch extends Disposable {
  readonly signal: AbortSignal;
  /** Set where the server ends the answer, and there is still somebody to tell. */
  readonly cut: DynamoError | undefined;
}

/** A signal that aborts when the client leaves before its answer is complete, or the server cuts it; disposing takes the listeners away. */
export function leaveSignal(response: ServerResponse): AnswerWatch {
  const left = new AbortController();
  let cut: DynamoError | undefined;
  const onClose = (): void => {
    if (!isComplete(response)) left.abort(clientLeft());
  };
  response.once('close', onClose);
  if (isGone(response)) onClose();
  const cutting = factsOf(response)?.onCut((error) => {
    if (!left.signal.aborted) cut = error;
    left.abort(clientLeft());
  });
  return {
    signal: left.signal,
    get cut() {
      return cut;
    },
    [Symbol.dispose]() {
      response.off('close', onClose);
      cutting?.[Symbol.dispose]();
    },
  };
}

/** A real frontend kills the worker's request when its client leaves (spec llm 2.4). */
const clientLeft = (): DynamoError => new DynamoError('cancelled', 'the client left', { data: { kind: 'kill' } });
