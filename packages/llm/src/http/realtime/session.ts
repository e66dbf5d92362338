import type { DynamoError } from '@dynamo/runtime';
import { encodeJsonText } from '@dynamo/runtime/internal';
import { type ClientEvent, errorFrame, isServerEvent, readClientEvent, sessionCreated } from './frames.ts';
import { InputQueue } from './input-queue.ts';

/** The other side of a session, whatever library carries its frames. */
export interface Socket {
  /** Sends a text frame; resolves when more may be sent. */
  send(text: string): Promise<void>;
  close(code: number, reason: string): void;
  /** Whether frames are to be read: a worker that is slow slows its client down. */
  flow(open: boolean): void;
}

/** Opens a worker's two-way stream: gets the client's events, yields the worker's items. */
export type OpenWorker = (input: AsyncIterable<unknown>, signal: AbortSignal) => AsyncIterable<unknown>;

/** What a session needs to find its worker. */
export interface SessionParts {
  readonly socket: Socket;
  /** Undefined where no model of this name has sessions. */
  readonly find: (model: string) => OpenWorker | undefined;
  /** Told of a worker that failed. */
  readonly failed: (error: unknown) => void;
}

const malformed = 'malformed JSON frame';
const binary = 'binary frames not supported';

/**
 * One realtime session (spec llm 3.5): until a `session.update` names a model, everything else gets an error and the socket stays
 * open; from then on each event of the client is an item of the worker's input, each item of the worker's an event, and what is
 * no event closes the socket.
 */
export class RealtimeSession {
  readonly #parts: SessionParts;
  readonly #stop = new AbortController();
  #input: InputQueue | undefined;
  #ended = false;
  /** Settles when the session's worker has ended. */
  running: Promise<void> = Promise.resolve();

  constructor(parts: SessionParts) {
    this.#parts = parts;
    void parts.socket.send(sessionCreated());
  }

  text(frame: string): void {
    if (this.#ended) return;
    const event = readClientEvent(frame);
    if (event === undefined) this.#refuse(malformed, 1007);
    else if (this.#input !== undefined) this.#input.push(event);
    else this.#begin(event);
  }

  binary(): void {
    if (!this.#ended) this.#refuse(binary, 1003);
  }

  /** The client has gone: its input ends, and its worker is stopped. */
  left(reason: DynamoError): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#input?.end();
    this.#stop.abort(reason);
  }

  #refuse(message: string, code: number): void {
    if (this.#input === undefined) {
      void this.#parts.socket.send(errorFrame({ type: 'invalid_request_error', code: 'invalid_request', message }));
      return;
    }
    this.#parts.socket.close(code, message);
  }

  #begin(event: ClientEvent): void {
    const say = (message: string, param: string, code = 'invalid_request'): void =>
      void this.#parts.socket.send(errorFrame({ type: 'invalid_request_error', code, message, param }));
    if (event.type !== 'session.update') return say('expected session.update before engine is selected', 'session.update');
    const { model } = event['session'] as { model?: unknown };
    if (typeof model !== 'string' || model === '') return say('session.model required', 'session.model');
    const open = this.#parts.find(model);
    if (open === undefined) return say(`unknown model: ${model}`, 'session.model', 'model_not_found');
    this.#input = new InputQueue((free) => this.#parts.socket.flow(free));
    this.#input.push(event);
    this.running = this.#run(open(this.#input, this.#stop.signal));
  }

  async #run(items: AsyncIterable<unknown>): Promise<void> {
    const { socket, failed } = this.#parts;
    const broken = errorFrame({ type: 'server_error', message: 'Internal server error' });
    try {
      for await (const item of items) await socket.send(isServerEvent(item) ? encodeJsonText(item) : broken);
    } catch (error) {
      if (this.#ended) return;
      failed(error);
      await socket.send(broken);
    } finally {
      this.#input?.end();
    }
    if (!this.#ended) socket.close(1000, 'stream complete');
  }
}
