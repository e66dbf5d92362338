import { Agent, type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { DynamoError } from '@dynamo/runtime';
import { SseEvents } from './sse-events.ts';
import { cutError, goneError, protocolError, silentError, statusError } from './upstream-error.ts';

/** How an upstream is reached. */
export interface UpstreamOptions {
  /** Base address, such as `http://127.0.0.1:8000`; a trailing `/v1` is allowed. */
  readonly url: string;
  /** Sent as a bearer token. */
  readonly key?: string | undefined;
  /** Longest silence of an answer, in milliseconds. */
  readonly idleMs: number;
}

/** Longest wait for a connection, in milliseconds. */
const connectMs = 5_000;
/** Longest answer that is no stream, in bytes. */
const mostBytes = 8 * 1024 * 1024;

interface Call {
  readonly method: 'GET' | 'POST';
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest silence; the upstream's by default. */
  readonly idleMs?: number;
}

/** An OpenAI server: its connections, and its failures as typed errors. */
export class Upstream implements Disposable {
  /** Base address without `/v1`. */
  readonly url: string;
  readonly #options: UpstreamOptions;
  readonly #agent: Agent;
  readonly #send: typeof plainRequest;

  /** @throws DynamoError `invalid_argument` for an address that is none. */
  constructor(options: UpstreamOptions) {
    if (!URL.canParse(options.url) || !/^https?:$/.test(new URL(options.url).protocol))
      throw new DynamoError('invalid_argument', `upstream '${options.url}' is no http:// or https:// address`, { data: { upstream: options.url } });
    this.#options = options;
    this.url = options.url.replace(/\/+$/, '').replace(/\/v1$/, '');
    const isTls = this.url.startsWith('https:');
    this.#agent = isTls ? new TlsAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
    this.#send = isTls ? tlsRequest : plainRequest;
  }

  /** Status and text of a short answer, whatever its status. */
  async get(path: string, options: { readonly idleMs?: number; readonly signal?: AbortSignal } = {}): Promise<{ status: number; text: string }> {
    const { message, request } = await this.#open(path, { method: 'GET', ...options });
    return { status: message.statusCode ?? 0, text: await this.#text(message, request) };
  }

  /**
   * Posts a request and yields the data of the events of its answer, those that arrived together as one list; leaving the
   * loop or aborting the signal closes the connection, which is how these servers are told to stop.
   *
   * @throws DynamoError by what went wrong: `engine_shutdown` for no connection, `stream_incomplete` for one that broke,
   * `response_timeout` for silence, `backend_protocol` for another kind of answer, and the codes of statuses.
   */
  async *stream(path: string, call: Omit<Call, 'method'>): AsyncGenerator<readonly string[]> {
    const { message, request } = await this.#open(path, { method: 'POST', ...call });
    const onAbort = (): void => void request.destroy();
    call.signal?.addEventListener('abort', onAbort, { once: true });
    try {
      if (call.signal?.aborted === true) return;
      const status = message.statusCode ?? 0;
      if (status !== 200) throw statusError(this.url, status, await this.#text(message, request));
      const type = message.headers['content-type'] ?? '';
      if (!type.startsWith('text/event-stream')) throw protocolError(this.url, `answered ${path} with ${type === '' ? 'no content type' : type}`);
      const events = new SseEvents();
      for await (const piece of this.#pieces(message, request)) {
        const data = events.push(piece);
        if (data.length > 0) yield data;
      }
      const last = events.end();
      if (last.length > 0) yield last;
    } catch (error) {
      // Whoever has left needs no reason.
      if (call.signal?.aborted === true) return;
      throw error;
    } finally {
      call.signal?.removeEventListener('abort', onAbort);
      if (!message.complete) request.destroy();
    }
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  /** Sends once more where a kept connection turned out to be closed: nothing had been read on the other side. */
  async #open(path: string, call: Call): Promise<{ message: IncomingMessage; request: ClientRequest }> {
    try {
      return await this.#once(path, call);
    } catch (error) {
      if (!DynamoError.is(error, 'engine_shutdown') || error.data['reused'] !== true || call.signal?.aborted === true) throw error;
      return this.#once(path, call);
    }
  }

  #once(
    path: string,
    { method, body, headers, signal, idleMs = this.#options.idleMs }: Call,
  ): Promise<{ message: IncomingMessage; request: ClientRequest }> {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const { promise, resolve, reject } = Promise.withResolvers<{ message: IncomingMessage; request: ClientRequest }>();
    const request = this.#send(this.url + path, {
      method,
      agent: this.#agent,
      headers: {
        ...headers,
        ...(this.#options.key === undefined ? {} : { authorization: `Bearer ${this.#options.key}` }),
        ...(payload === undefined ? {} : { 'content-type': 'application/json', 'content-length': payload.length }),
      },
    });
    const connecting = setTimeout(() => request.destroy(goneError(this.url, new Error(`no connection within ${connectMs} ms`))), connectMs);
    const onAbort = (): void => void request.destroy(new DynamoError('cancelled', 'the request was cancelled'));
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    request.once('socket', (socket) => {
      if (socket.connecting) socket.once('connect', () => clearTimeout(connecting));
      else clearTimeout(connecting);
    });
    request.setTimeout(idleMs, () => request.destroy(silentError(this.url, idleMs)));
    const done = (): void => {
      clearTimeout(connecting);
      signal?.removeEventListener('abort', onAbort);
    };
    request.once('response', (message: IncomingMessage) => {
      done();
      resolve({ message, request });
    });
    request.on('error', (error) => {
      done();
      reject(DynamoError.is(error) ? error : withReuse(goneError(this.url, error), request.reusedSocket));
    });
    request.end(payload);
    return promise;
  }

  /** The pieces of a body; a connection that breaks inside is an answer that was cut. */
  async *#pieces(message: IncomingMessage, request: ClientRequest): AsyncGenerator<Uint8Array> {
    try {
      for await (const piece of message) yield piece as Uint8Array;
    } catch (error) {
      throw DynamoError.is(request.errored) ? request.errored : DynamoError.is(error) ? error : cutError(this.url, error);
    }
    if (!message.complete) throw cutError(this.url);
  }

  async #text(message: IncomingMessage, request: ClientRequest): Promise<string> {
    const pieces: Uint8Array[] = [];
    let size = 0;
    for await (const piece of this.#pieces(message, request)) {
      size += piece.length;
      if (size > mostBytes) {
        request.destroy();
        throw protocolError(this.url, `sends more than ${mostBytes} bytes where a short answer was expected`);
      }
      pieces.push(piece);
    }
    return Buffer.concat(pieces).toString('utf8');
  }
}

const withReuse = (error: DynamoError, reused: boolean): DynamoError =>
  reused ? new DynamoError(error.code, error.message, { origin: 'backend', cause: error.cause, data: { ...error.data, reused } }) : error;
