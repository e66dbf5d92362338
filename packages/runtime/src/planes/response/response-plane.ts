import type { DynamoError } from '../../error.ts';
import type { Logger } from '../../log.ts';
import type { Listener } from '../../net/listen.ts';
import type { CodecName } from '../../wire/codec.ts';
import type { CallHome } from '../../wire/control.ts';

/** Reads one item straight from a frame's bytes, or gives up with undefined so that the general decoder reads it. */
export type ItemReader = (bytes: Uint8Array, start: number, end: number) => unknown;

/** How the items of one stream are read. */
export interface StreamOptions {
  readonly codec: CodecName;
  readonly readItem?: ItemReader | undefined;
  /** Aborting it kills the worker, also one that has been stopped and has not ended yet. */
  readonly kill?: AbortSignal | undefined;
}

/** The caller's end of one response stream: everything that one socket read held comes out as one array. */
export interface ResponseStream {
  /** True once the worker has called home. */
  readonly attached: boolean;
  /** The next batch, or undefined at the clean end; throws after the good items that came before an error. One caller at a time. */
  next(): Promise<readonly unknown[] | undefined>;
  /** Ends the stream for its reader with an error; an open worker is stopped or, by default, killed. */
  fail(error: DynamoError, how?: 'stop' | 'kill'): void;
  /** The consumer has gone: kills the worker unless the stream is complete, and expects no call-home any more. */
  leave(): void;
}

/** The caller's end of a request that is a stream of items: the worker calls home for them (spec runtime-wire 7). */
export interface InputWriter {
  /** True once the worker has called home. */
  readonly attached: boolean;
  /** Settles when the worker has called home, with true, or when it never will be listened to, with false. */
  readonly ready: Promise<boolean>;
  /** Settles when the worker takes no more items: it has closed, or the input has ended. */
  readonly closed: Promise<void>;
  /** Sends encoded items once `ready`; undefined while the way is free, else a promise for when it is again. */
  write(items: readonly Uint8Array[]): Promise<void> | undefined;
  /** Ends the input: complete, or with a word that ends the request. Only the first call counts. */
  end(how: 'done' | 'stop' | 'kill'): void;
}

/** A worker's end of a request that is a stream of items. */
export interface InputReader {
  /** The next batch, or undefined when the caller has sent all; throws after the good items that came before an error. One caller at a time. */
  next(): Promise<readonly unknown[] | undefined>;
  /** The handler wants no more: closes the connection, and the caller stops sending. */
  leave(): void;
}

/** Where workers call home: one a runtime, one connection a stream. Disposing kills the workers of all streams that are open. */
export interface ResponseListener extends Listener {
  /** Expects a worker to show `subject`. The stream must be left. */
  expect(subject: string, options: StreamOptions): ResponseStream;
  /** Expects a worker to show `subject` and to fetch a request's items. The writer must be ended. */
  expectInput(subject: string): InputWriter;
}

/** A worker's end of one response stream. */
export interface ResponseWriter {
  /** Bytes of the items and of the final frame that were handed to the transport, frames and handshakes not counted (spec runtime-wire 15). */
  readonly itemBytes: number;
  /** Sends items; undefined while the way is free, else a promise for when it is again. */
  write(items: readonly unknown[]): Promise<void> | undefined;
  /** Ends the stream, with an error item when there is one; resolves when the caller has taken all and gone. */
  finish(error?: unknown): Promise<void>;
  /** Closes without a final frame, as a stopped worker does. */
  drop(): void;
}

/** Options of a plane's listener. */
export interface ResponseListenOptions {
  readonly host: string;
  readonly port: number;
  readonly log?: Logger;
  /** How long a socket may take to say which stream it belongs to; default 10 000 ms. */
  readonly handshakeMs?: number;
  /** How long a worker may take to go on with a frame that it has begun, or to end after its final frame; default 30 000 ms. */
  readonly stallMs?: number;
  /** How long a worker that has called home may take to say whether its handler has started; default 60 000 ms. */
  readonly prologueMs?: number;
  /** How long a stopped worker may take to close before it is killed; default 5 000 ms. */
  readonly stopGraceMs?: number;
}

/** Options of one call home. */
export interface CallHomeOptions {
  readonly to: CallHome;
  readonly codec: CodecName;
  readonly connectMs: number;
  readonly log?: Logger;
  /** How long the caller may take to close after the last frame has left; default 10 000 ms (spec runtime-wire 6). */
  readonly closeMs?: number;
  /** Hears why the caller wants no more: `stop`, `kill`, or `stop` when the connection failed or closed early; after a stop a kill may follow. */
  readonly onCancel: (how: 'stop' | 'kill') => void;
}

/** Options of one call home for a request's items. */
export interface InputOptions {
  readonly to: CallHome;
  readonly codec: CodecName;
  readonly connectMs: number;
  readonly log?: Logger;
  /** How long the caller may take to go on with a frame that it has begun; default 30 000 ms. */
  readonly stallMs?: number;
  /** Hears at most once that the request ends before its items do: `stop`, or `kill` also for items that break off. The error says why. */
  readonly onCancel: (how: 'stop' | 'kill', error: DynamoError) => void;
}

/** How answers travel. One implementation a transport; all of them pass `response-plane.contract.ts`. */
export interface ResponsePlane {
  listen(options: ResponseListenOptions): Promise<ResponseListener>;
  /** Calls home and shows that the handler has started. Throws `backend_protocol` on an address that can't be read. */
  callHome(options: CallHomeOptions): ResponseWriter;
  /** Calls home for a request's items. Throws `backend_protocol` on an address that can't be read. */
  openInput(options: InputOptions): InputReader;
}
