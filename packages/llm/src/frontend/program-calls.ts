import { randomUUID } from 'node:crypto';
import { type CallOptions, DynamoError } from '@dynamo/runtime';
import { encodeJsonText, linkSignals } from '@dynamo/runtime/internal';
import { AnswerFailed } from '../http/answer-failed.ts';
import type { Asking } from '../http/asking.ts';
import { settleRecord } from '../http/exchange.ts';
import type { OpenedAnswer } from '../http/opened.ts';
import { openChat } from '../http/routes/chat.ts';
import { openCompletion } from '../http/routes/completions.ts';
import { embeddingText } from '../http/routes/embeddings.ts';
import type { RouteParts } from '../http/routes/parts.ts';
import type { ChatChunk, ChatRequest, CompletionChunk, CompletionRequest, EmbeddingRequest, EmbeddingResponse } from './calls.ts';
import type { RequestRecord } from './frontend-metrics.ts';

/** How an answer is opened from the text of its request. */
type Open = (asking: Asking, text: string) => Promise<OpenedAnswer>;

/**
 * The calls of the program that the frontend is part of: the pipeline of the HTTP routes, without HTTP.
 *
 * Requests are read by the same code, and chunks are the events that a client over HTTP would get, so that the two can't
 * differ. Errors are those of the pipeline, and not what a client would be told of them. Disposing refuses new calls, waits
 * for those that run, and ends what takes longer.
 */
export class ProgramCalls implements AsyncDisposable {
  readonly #parts: RouteParts;
  readonly #drainMs: number;
  readonly #cut = new AbortController();
  #running = 0;
  #onIdle: (() => void) | undefined;
  #closing = false;

  constructor(parts: RouteParts, { drainMs }: { drainMs: number }) {
    this.#parts = parts;
    this.#drainMs = drainMs;
  }

  chat(request: ChatRequest, options: CallOptions = {}): AsyncIterable<ChatChunk> {
    return this.#chunks<ChatChunk>(openChat, request, options);
  }

  complete(request: CompletionRequest, options: CallOptions = {}): AsyncIterable<CompletionChunk> {
    return this.#chunks<CompletionChunk>(openCompletion, request, options);
  }

  async embed(request: EmbeddingRequest, options: CallOptions = {}): Promise<EmbeddingResponse> {
    using call = this.#begin(options);
    try {
      const text = await embeddingText(call.asking, encodeJsonText(request));
      call.end();
      return JSON.parse(text) as EmbeddingResponse;
    } catch (error) {
      throw call.fail(error);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing = true;
    if (this.#running === 0) return;
    const idle = new Promise<void>((resolve) => (this.#onIdle = resolve));
    const message = `the frontend shuts down, and this answer did not end within its ${this.#drainMs} ms`;
    const timer = setTimeout(() => this.#cut.abort(new DynamoError('unavailable', message)), this.#drainMs);
    await idle;
    clearTimeout(timer);
  }

  async *#chunks<Chunk>(open: Open, request: ChatRequest | CompletionRequest, options: CallOptions): AsyncGenerator<Chunk> {
    using call = this.#begin(options);
    try {
      const answer = await open(call.asking, encodeJsonText({ ...request, stream: true }));
      for await (const text of answer.events(call.signal)) yield* chunksIn<Chunk>(text);
      call.end();
    } catch (error) {
      throw call.fail(error);
    }
  }

  /** Counts a call and follows its signal; disposing says that the caller has left where nothing else has ended it. */
  #begin({ signal, ...call }: CallOptions): ProgramCall {
    if (this.#closing) throw new DynamoError('unavailable', 'the frontend shuts down: it takes no new requests');
    this.#running++;
    return new ProgramCall(this.#parts, { signal, cut: this.#cut.signal, call }, () => {
      if (--this.#running === 0) this.#onIdle?.();
    });
  }
}

/** One call under way. */
class ProgramCall implements Disposable {
  readonly asking: Asking;
  readonly signal: AbortSignal;
  readonly #cut: AbortSignal;
  readonly #release: () => void;
  #record: RequestRecord | undefined;

  constructor(
    parts: RouteParts,
    { signal, cut, call }: { signal: AbortSignal | undefined; cut: AbortSignal; call: Omit<CallOptions, 'signal'> },
    ended: () => void,
  ) {
    const linked = linkSignals(signal, cut);
    const { id = call.context?.id ?? randomUUID(), headers = {} } = call;
    this.signal = linked.signal;
    this.#cut = cut;
    this.#release = () => {
      linked[Symbol.dispose]();
      ended();
    };
    this.asking = {
      request: { headers: {} },
      parts,
      id,
      headers,
      call,
      begin: (asked) => (this.#record = parts.metrics.start(asked)),
      watch: () => ({ signal: this.signal, cut: undefined, [Symbol.dispose]: () => undefined }),
      left: (cause) => cause,
    };
  }

  end(): void {
    this.#record?.end({});
    this.#record = undefined;
  }

  /** Counts what went wrong and gives back what the caller is to be thrown. */
  fail(thrown: unknown): DynamoError {
    const cause = DynamoError.from(thrown instanceof AnswerFailed ? thrown.cause : thrown);
    const error = this.#cut.aborted && this.signal.reason === this.#cut.reason ? DynamoError.from(this.#cut.reason) : cause;
    if (this.#record !== undefined) settleRecord(this.#record, error);
    this.#record = undefined;
    return error;
  }

  [Symbol.dispose](): void {
    // The caller has left its loop.
    if (this.#record !== undefined) settleRecord(this.#record, new DynamoError('cancelled', 'the caller left'));
    this.#release();
  }
}

/** The chunks in the text of one or several events; events with a name are for clients over HTTP. */
function* chunksIn<Chunk>(text: string): Generator<Chunk> {
  for (const event of text.split('\n\n')) if (event.startsWith('data: ')) yield JSON.parse(event.slice(6)) as Chunk;
}
