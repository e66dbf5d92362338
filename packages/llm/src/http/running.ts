import type { ServerResponse } from 'node:http';
import { type Failure, failure } from './errors.ts';
import { refusal } from './refusal.ts';
import { factsOf, ResponseFacts, setFacts } from './response-facts.ts';

/** The answers that a server is at. */
export class RunningAnswers {
  readonly #responses = new Set<ServerResponse>();
  readonly #readerMs: number;
  #onIdle: (() => void) | undefined;
  #draining = false;

  constructor(readerMs: number) {
    this.#readerMs = readerMs;
  }

  get size(): number {
    return this.#responses.size;
  }

  /** Whether the server shuts down: it finishes what runs and takes nothing new. */
  get draining(): boolean {
    return this.#draining;
  }

  drain(): void {
    this.#draining = true;
  }

  /** Counts an answer until its connection is done with it. */
  add(response: ServerResponse): void {
    setFacts(response, new ResponseFacts(this.#readerMs));
    this.#responses.add(response);
    response.once('close', () => {
      this.#responses.delete(response);
      if (this.#responses.size === 0) this.#onIdle?.();
    });
  }

  /** Resolves when nothing runs any more, or after a time; says which. */
  async idle(limitMs: number): Promise<boolean> {
    if (this.#responses.size === 0) return true;
    return new Promise((resolve) => {
      const settle = (done: boolean) => (): void => {
        clearTimeout(timer);
        this.#onIdle = undefined;
        resolve(done);
      };
      const timer = setTimeout(settle(false), limitMs);
      this.#onIdle = settle(true);
    });
  }

  /** Ends every answer with an error that says why: as its status where none has been sent, else as the last event of its stream. */
  cut(limitMs: number): void {
    const message = `The frontend shuts down, and this answer did not end within its ${limitMs} ms (DYN_HTTP_GRACEFUL_SHUTDOWN_TIMEOUT_SECS)`;
    const told = { ...failure(503, message), headers: { 'retry-after': '1' } };
    const error = refusal('unavailable', told);
    for (const response of this.#responses) if (factsOf(response)?.cut(error) !== true) sayDirectly(response, told);
  }
}

/** For a request that no route answers yet: its body is on its way, or its prompt is being read. */
function sayDirectly(response: ServerResponse, { status, headers, body }: Failure): void {
  if (response.headersSent) return;
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}
