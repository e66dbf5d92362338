import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import type { Logger } from '../../../log.ts';
import { parseAddress } from '../../../net/address.ts';
import { dial, onceOpen } from '../../../net/dial.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { release } from '../../../net/release.ts';
import { keepAliveMs } from '../../../net/listen.ts';
import type { TlsClient } from '../../../net/tls.ts';
import { encodeErrorItem, encodeItem, finalFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { type CallHome, encodeHandshake, encodePrologue, sentinel, words } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';
import type { CallHomeOptions, ResponseWriter } from '../response-plane.ts';
import { Outlet } from './outlet.ts';

export type { ResponseWriter } from '../response-plane.ts';

/** How long the caller may take to close after the sentinel (spec runtime-wire 6), in milliseconds. */
const defaultCloseMs = 10_000;

/** The caller says `"stop"` or `"kill"` and nothing else. */
const maxWordBytes = 1024;

const started = encodeTwoPart({ header: encodePrologue(null) });
const stop = Buffer.from(words.stop);

/** The final frame and the sentinel behind it, which always leave together. */
const endingOf = (codec: CodecName): Uint8Array => Buffer.concat([encodeTwoPart({ body: finalFrame(codec) }), encodeTwoPart({ header: sentinel })]);
const endings: Readonly<Record<CodecName, Uint8Array>> = { json: endingOf('json'), msgpack: endingOf('msgpack') };

/** Connects to where a caller listens for its worker. Nothing but closing is heard of a connection that fails, and the log says why. */
export function connectHome(options: { to: CallHome; connectMs: number; log?: Logger | undefined }, tls: TlsClient | undefined): Socket {
  const { to, connectMs, log } = options;
  const { address } = to;
  const target = parseAddress(address);
  if (target === undefined) throw new DynamoError('backend_protocol', `response address '${address}' is not HOST:PORT`);
  const socket = dial(target, tls).setKeepAlive(true, keepAliveMs);
  const timer = setTimeout(() => socket.destroy(new Error(`no answer within ${connectMs} ms`)), connectMs).unref();
  let open = false;
  onceOpen(socket, () => {
    open = true;
    clearTimeout(timer);
  });
  socket.once('close', () => clearTimeout(timer));
  // 'close' follows, and that is where it is handled.
  socket.on('error', (error) => {
    if (!open) log?.warn({ address, error: error.message }, 'could not call home');
  });
  return socket;
}

/** Calls home and answers with the handshake and a good prologue. */
export function callHome(options: CallHomeOptions, tls?: TlsClient): ResponseWriter {
  const writer = new TcpResponseWriter(connectHome(options, tls), options);
  writer.send(encodeTwoPart({ header: encodeHandshake(options.to.subject) }));
  writer.send(started);
  return writer;
}

class TcpResponseWriter implements ResponseWriter {
  readonly #socket: Socket;
  readonly #codec: CodecName;
  readonly #closeMs: number;
  readonly #onCancel: CallHomeOptions['onCancel'];
  readonly #frames: FrameBuffer = new FrameBuffer();
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #outlet: Outlet;
  #itemBytes = 0;
  #cancelled: 'stop' | 'kill' | undefined;
  #finished = false;

  constructor(socket: Socket, options: CallHomeOptions) {
    this.#socket = socket;
    this.#codec = options.codec;
    this.#closeMs = options.closeMs ?? defaultCloseMs;
    this.#onCancel = options.onCancel;
    this.#outlet = new Outlet(socket, this.#closed.promise);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => {
      this.#cancel('stop');
      this.#closed.resolve();
    });
  }

  get itemBytes(): number {
    return this.#itemBytes;
  }

  write(items: readonly unknown[]): Promise<void> | undefined {
    if (this.#cancelled !== undefined) return undefined;
    for (const item of items) this.#sendBody(encodeItem(item, this.#codec));
    return this.#outlet.full;
  }

  async finish(error?: unknown): Promise<void> {
    if (this.#cancelled !== undefined) return this.drop();
    if (error !== undefined) this.#sendBody(encodeErrorItem(error, this.#codec));
    this.#finished = true;
    this.#itemBytes += finalFrame(this.#codec).length;
    this.#outlet.gather(endings[this.#codec]);
    const left = Promise.withResolvers<void>();
    this.#outlet.flush(left.resolve);
    // A slow caller may take its time with what it has asked for; only then does the time to close begin.
    await Promise.race([left.promise, this.#closed.promise]);
    const timer = setTimeout(() => this.#socket.destroy(), this.#closeMs).unref();
    await this.#closed.promise;
    clearTimeout(timer);
  }

  drop(): void {
    this.#finished = true;
    this.#outlet.discard();
    this.#socket.destroy();
  }

  send(frame: Uint8Array): void {
    this.#outlet.send(frame);
  }

  #sendBody(body: Uint8Array): void {
    this.#itemBytes += body.length;
    // Encoded for this caller alone.
    this.#outlet.sendBody(body, () => release(body));
  }

  /** A stopped worker closes its side at once and goes on listening: a kill may follow. */
  #cancel(how: 'stop' | 'kill'): void {
    if (this.#finished || this.#cancelled === 'kill' || this.#cancelled === how) return;
    this.#cancelled = how;
    this.#outlet.discard();
    this.#socket.end();
    this.#onCancel(how);
  }

  #read(chunk: Buffer): void {
    try {
      const bytes = this.#frames.add(chunk);
      let at = 0;
      for (;;) {
        const span = spanTwoPart(bytes, at, maxWordBytes);
        if (span === undefined) break;
        this.#cancel(stop.equals(bytes.subarray(span.headerStart, span.bodyStart)) ? 'stop' : 'kill');
        at = span.end;
      }
      this.#frames.keep(bytes, at);
    } catch {
      // Nothing but stop and kill may come; a caller that sends something else is not understood any more.
      this.#cancel('kill');
    }
  }
}
