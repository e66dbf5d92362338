import type { ServerResponse } from 'node:http';
import type { DynamoError } from '@dynamo/runtime';

const key = Symbol('facts');

/** What a server knows of one response beside its HTTP: how patient it is with the reader, and who hears that it is cut. */
export class ResponseFacts {
  /** How long the client may take no byte, in milliseconds. */
  readonly readerMs: number;
  readonly #listeners = new Set<(error: DynamoError) => void>();
  #cut: DynamoError | undefined;

  constructor(readerMs: number) {
    this.readerMs = readerMs;
  }

  /** Ends the answer with an error that its client is told; says whether anybody heard who tells it. */
  cut(error: DynamoError): boolean {
    this.#cut ??= error;
    const listeners = [...this.#listeners];
    for (const listener of listeners) listener(error);
    return listeners.length > 0;
  }

  /** Calls back when the answer is cut, at once where it has been. Disposing takes the listener away. */
  onCut(listener: (error: DynamoError) => void): Disposable {
    this.#listeners.add(listener);
    if (this.#cut !== undefined) listener(this.#cut);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

/** Attaches a server's facts to a response. */
export const setFacts = (response: ServerResponse, facts: ResponseFacts): void => void Reflect.set(response, key, facts);

/** The facts of a response; undefined for one that no server of ours has opened. */
export const factsOf = (response: ServerResponse): ResponseFacts | undefined => Reflect.get(response, key) as ResponseFacts | undefined;

/** Whether nobody can be told anything more. A response over HTTP/2 says so by its stream alone. */
export function isGone(response: ServerResponse): boolean {
  const { stream } = response as { stream?: { destroyed?: boolean } };
  return response.destroyed || response.closed || stream?.destroyed === true;
}

/** Whether all of an answer has gone out. Over HTTP/2 one that was broken off is "finished" without having ended. */
export const isComplete = (response: ServerResponse): boolean => response.writableEnded && response.writableFinished;
