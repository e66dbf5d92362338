import { connect, type Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { parseAddress } from '../../../net/address.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { encodeErrorItem, encodeItem, finalFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { type CallHome, encodeHandshake, encodePrologue, sentinel } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';

/** How long the caller may take to close after the sentinel (spec runtime-wire 6), in milliseconds. */
const closeMs = 10_000;

/** How many bytes may gather within one turn of the event loop before they are sent. */
const gatherBytes = 64 * 1024;

const sentinelFrame = encodeTwoPart({ header: sentinel });

/** A worker's end of one response stream. */
export interface ResponseWriter {
  /** Sends items; resolves at once while the socket takes them, else when it drains. */
  write(items: readonly unknown[]): Promise<void> | undefined;
  /** Ends the stream: with an error item when there is one, then final and sentinel. */
  finish(error?: unknown): Promise<void>;
  /** Closes without a final frame, as a stopped worker does. */
  drop(): void;
}

/**
 * Calls home and answers with the handshake and a good prologue.
 *
 * `onCancel` hears once why the caller wants no more: `stop`, `kill`, or `stop` when its socket has closed.
 */
export function callHome(options: { to: CallHome; codec: CodecName; connectMs: number; onCancel: (how: 'stop' | 'kill') => void }): ResponseWriter {
  const address = parseAddress(options.to.address);
  if (address === undefined) throw new DynamoError('backend_protocol', `response address '${options.to.address}' is not HOST:PORT`);
  const socket = connect({ ...address, noDelay: true });
  const writer = new TcpResponseWriter(socket, options);
  writer.send(encodeTwoPart({ header: encodeHandshake(options.to.subject) }));
  writer.send(encodeTwoPart({ header: encodePrologue(null) }));
  return writer;
}

class TcpResponseWriter implements ResponseWriter {
  readonly #socket: Socket;
  readonly #codec: CodecName;
  readonly #frames: FrameBuffer = new FrameBuffer();
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #cancelled = false;
  #finished = false;
  #closed: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  constructor(socket: Socket, options: { codec: CodecName; connectMs: number; onCancel: (how: 'stop' | 'kill') => void }) {
    this.#socket = socket;
    this.#codec = options.codec;
    const cancel = (how: 'stop' | 'kill'): void => {
      if (this.#cancelled || this.#finished) return;
      this.#cancelled = true;
      options.onCancel(how);
    };
    const timer = setTimeout(() => socket.destroy(), options.connectMs).unref();
    socket.once('connect', () => clearTimeout(timer));
    socket.on('error', () => {}); // 'close' follows, and that is where it is handled.
    socket.on('data', (chunk: Buffer) => this.#read(chunk, cancel));
    socket.once('close', () => {
      clearTimeout(timer);
      cancel('stop');
      this.#closed.resolve();
    });
  }

  write(items: readonly unknown[]): Promise<void> | undefined {
    for (const item of items) this.send(encodeTwoPart({ body: encodeItem(item, this.#codec) }));
    return this.#socket.writableNeedDrain ? this.#drained() : undefined;
  }

  async finish(error?: unknown): Promise<void> {
    if (this.#cancelled) return this.drop();
    if (error !== undefined) this.send(encodeTwoPart({ body: encodeErrorItem(error, this.#codec) }));
    this.send(encodeTwoPart({ body: finalFrame(this.#codec) }));
    this.send(sentinelFrame);
    this.#finished = true;
    this.#flush();
    const timer = setTimeout(() => this.#socket.destroy(), closeMs).unref();
    await this.#closed.promise;
    clearTimeout(timer);
  }

  drop(): void {
    this.#finished = true;
    this.#gathered = [];
    this.#socket.destroy();
  }

  /** Gathers what is sent within one turn, so that tokens which arrive together leave together. */
  send(frame: Uint8Array): void {
    if (this.#gathered.length === 0) process.nextTick(() => this.#flush());
    this.#gathered.push(frame);
    this.#gatheredBytes += frame.length;
    if (this.#gatheredBytes >= gatherBytes) this.#flush();
  }

  #flush(): void {
    if (this.#gathered.length === 0) return;
    const [only] = this.#gathered;
    const bytes = this.#gathered.length === 1 && only !== undefined ? only : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (!this.#socket.destroyed) this.#socket.write(bytes);
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('drain', resolve);
    await Promise.race([promise, this.#closed.promise]);
    this.#socket.off('drain', resolve);
  }

  #read(chunk: Buffer, cancel: (how: 'stop' | 'kill') => void): void {
    try {
      const bytes = this.#frames.add(chunk);
      const span = spanTwoPart(bytes, 0, 1024);
      if (span === undefined) return this.#frames.keep(bytes, 0);
      cancel(bytes.toString('utf8', span.headerStart, span.bodyStart) === '"stop"' ? 'stop' : 'kill');
    } catch {
      // Nothing but stop and kill may come; a caller that sends something else is not understood any more.
      cancel('kill');
    }
  }
}
