import { connect, type Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { parseAddress } from '../../../net/address.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { keepAliveMs } from '../../../net/listen.ts';
import { encodeErrorItem, encodeItem, finalFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { encodeHandshake, encodePrologue, sentinel } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';
import type { CallHomeOptions, ResponseWriter } from '../response-plane.ts';

export type { ResponseWriter } from '../response-plane.ts';

/** How long the caller may take to close after the sentinel (spec runtime-wire 6), in milliseconds. */
const defaultCloseMs = 10_000;

/** How many bytes may gather within one turn of the event loop before they are sent. */
const gatherBytes = 64 * 1024;

/** The caller says `"stop"` or `"kill"` and nothing else. */
const maxWordBytes = 1024;

const started = encodeTwoPart({ header: encodePrologue(null) });

/** The final frame and the sentinel behind it, which always leave together. */
const endingOf = (codec: CodecName): Uint8Array => Buffer.concat([encodeTwoPart({ body: finalFrame(codec) }), encodeTwoPart({ header: sentinel })]);
const endings: Readonly<Record<CodecName, Uint8Array>> = { json: endingOf('json'), msgpack: endingOf('msgpack') };

/** Calls home and answers with the handshake and a good prologue. */
export function callHome(options: CallHomeOptions): ResponseWriter {
  const address = parseAddress(options.to.address);
  if (address === undefined) throw new DynamoError('backend_protocol', `response address '${options.to.address}' is not HOST:PORT`);
  const socket = connect({ ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  const writer = new TcpResponseWriter(socket, options);
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
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;
  #cancelled = false;
  #finished = false;
  #closed: PromiseWithResolvers<void> = Promise.withResolvers<void>();

  constructor(socket: Socket, options: CallHomeOptions) {
    this.#socket = socket;
    this.#codec = options.codec;
    this.#closeMs = options.closeMs ?? defaultCloseMs;
    this.#onCancel = options.onCancel;
    const timer = setTimeout(() => socket.destroy(), options.connectMs).unref();
    socket.once('connect', () => clearTimeout(timer));
    socket.on('error', () => {}); // 'close' follows, and that is where it is handled.
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => {
      clearTimeout(timer);
      this.#cancel('stop');
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
    this.#finished = true;
    this.#gather(endings[this.#codec]);
    const left = Promise.withResolvers<void>();
    this.#flush(left.resolve);
    // A slow caller may take its time with what it has asked for; only then does the time to close begin.
    await Promise.race([left.promise, this.#closed.promise]);
    const timer = setTimeout(() => this.#socket.destroy(), this.#closeMs).unref();
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
    this.#gather(frame);
    if (this.#gatheredBytes >= gatherBytes) this.#flush();
  }

  #gather(frame: Uint8Array): void {
    this.#gathered.push(frame);
    this.#gatheredBytes += frame.length;
  }

  #flush(onSent?: () => void): void {
    if (this.#gathered.length === 0) return;
    const [only] = this.#gathered;
    const bytes = this.#gathered.length === 1 && only !== undefined ? only : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.#gathered = [];
    this.#gatheredBytes = 0;
    if (!this.#socket.destroyed) this.#socket.write(bytes, onSent);
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('drain', resolve);
    await Promise.race([promise, this.#closed.promise]);
    this.#socket.off('drain', resolve);
  }

  #cancel(how: 'stop' | 'kill'): void {
    if (this.#cancelled || this.#finished) return;
    this.#cancelled = true;
    this.#onCancel(how);
  }

  #read(chunk: Buffer): void {
    try {
      const bytes = this.#frames.add(chunk);
      const span = spanTwoPart(bytes, 0, maxWordBytes);
      if (span === undefined) return this.#frames.keep(bytes, 0);
      this.#frames.keep(bytes, bytes.length);
      this.#cancel(bytes.toString('utf8', span.headerStart, span.bodyStart) === '"stop"' ? 'stop' : 'kill');
    } catch {
      // Nothing but stop and kill may come; a caller that sends something else is not understood any more.
      this.#cancel('kill');
    }
  }
}
