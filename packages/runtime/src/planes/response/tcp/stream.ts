import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { Deadline } from '../../../net/deadline.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { decodeFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { decodePrologue, sentinel } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';
import type { ItemReader, ResponseStream, StreamOptions } from '../response-plane.ts';

/** Largest response frame, in bytes: the real system sets no limit and 40 MiB items pass; memory must have one. */
const maxResponseBytes = 1024 * 1024 * 1024;

/** How many decoded items may wait for a slow consumer before the socket is paused. */
const waitingItems = 1024;

/** How many bytes of items may wait, that is: a few reads of the socket. */
const waitingBytes = 4 * 1024 * 1024;

const stopFrame = encodeTwoPart({ header: Buffer.from('"stop"') });
const killFrame = encodeTwoPart({ header: Buffer.from('"kill"') });
const sentinelBytes = Buffer.from(sentinel);

/** A response stream over a socket of its own (spec runtime-wire 6). */
export class TcpResponseStream implements ResponseStream {
  readonly #codec: CodecName;
  readonly #readItem: ItemReader | undefined;
  readonly #stall: Deadline;
  readonly #stopGraceMs: number;
  readonly #onLeave: () => void;
  readonly #frames: FrameBuffer = new FrameBuffer();
  #items: unknown[] = [];
  #itemBytes = 0;
  #socket: Socket | undefined;
  #wake: (() => void) | undefined;
  #started = false;
  #final = false;
  #ended = false;
  #left = false;
  #error: DynamoError | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(options: StreamOptions & { stallMs: number; stopGraceMs: number; onLeave: () => void }) {
    this.#codec = options.codec;
    this.#readItem = options.readItem;
    const { stallMs } = options;
    this.#stall = new Deadline(stallMs, () => this.#overdue(stallMs));
    this.#stopGraceMs = options.stopGraceMs;
    this.#onLeave = options.onLeave;
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  /** Takes over the socket that has shown this stream's subject, with what it sent behind its handshake. */
  attach(socket: Socket, rest: Buffer): void {
    if (this.#left || this.#ended) return dismissNow(socket);
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => this.#closed());
    if (rest.length > 0) this.#read(rest);
  }

  async next(): Promise<readonly unknown[] | undefined> {
    for (;;) {
      if (this.#items.length > 0) return this.#take();
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  fail(error: DynamoError, how: 'stop' | 'kill' = 'kill'): void {
    if (this.#ended) return;
    this.#error ??= error;
    this.#end();
    this.#dismiss(how);
  }

  leave(): void {
    this.#left = true;
    this.#onLeave();
    if (this.#ended) return;
    this.#end();
    this.#dismiss('kill');
  }

  #take(): readonly unknown[] {
    const batch = this.#items;
    this.#items = [];
    this.#itemBytes = 0;
    if (this.#socket?.isPaused() === true) {
      this.#socket.resume();
      this.#watch();
    }
    return batch;
  }

  #read(chunk: Buffer): void {
    if (this.#ended) return;
    const bytes = this.#frames.add(chunk);
    let at = 0;
    try {
      for (;;) {
        const span = spanTwoPart(bytes, at, maxResponseBytes);
        if (span === undefined) break;
        if (span.bodyStart > span.headerStart) this.#control(bytes.subarray(span.headerStart, span.bodyStart));
        else this.#item(bytes, span.bodyStart, span.end);
        if (this.#ended) break;
        at = span.end;
      }
    } catch (cause) {
      this.fail(DynamoError.from(cause));
      return;
    }
    this.#frames.keep(bytes, this.#ended ? bytes.length : at);
    this.#itemBytes += at;
    if (this.#items.length >= waitingItems || (this.#items.length > 0 && this.#itemBytes >= waitingBytes)) this.#socket?.pause();
    this.#watch();
    if (this.#items.length > 0) this.#ring();
  }

  #control(header: Buffer): void {
    if (!this.#started) {
      const refused = decodePrologue(header);
      if (refused !== null) return this.fail(notStarted(refused));
      this.#started = true;
    } else if (header.equals(sentinelBytes)) {
      if (this.#final) this.#end();
      else this.fail(incomplete());
      this.#socket?.destroy();
    }
  }

  #item(bytes: Buffer, start: number, end: number): void {
    if (!this.#started) return this.fail(notStarted('malformed prologue: expected HeaderOnly ControlMessage'));
    if (this.#final) return this.fail(new DynamoError('backend_protocol', 'the worker sent an item after its final frame'));
    const fast = this.#readItem?.(bytes, start, end);
    if (fast !== undefined) {
      this.#items.push(fast);
      return;
    }
    const frame = decodeFrame(bytes.subarray(start, end), this.#codec);
    if (frame.kind === 'item') this.#items.push(frame.data);
    else if (frame.kind === 'final') this.#final = true;
    // It is thrown when the final frame has come, so that the worker ends in peace.
    else if (frame.kind === 'error') this.#error ??= frame.error;
  }

  /** A worker that has begun a frame, or said its last word, must go on soon; between frames it may take as long as it likes. */
  #watch(): void {
    this.#stall.stop();
    const owes = this.#frames.pending || this.#final || this.#error !== undefined;
    // While the consumer holds the socket back, the worker can't go on.
    if (!owes || this.#ended || this.#socket?.isPaused() === true) return;
    this.#stall.start();
  }

  #overdue(stallMs: number): void {
    if (this.#final || this.#error !== undefined) this.#end();
    else this.fail(incomplete(`: part of a frame, and no more for ${stallMs} ms`));
    if (this.#socket !== undefined) dismissNow(this.#socket);
  }

  #closed(): void {
    clearTimeout(this.#grace);
    if (this.#ended) return;
    if (this.#final || this.#error !== undefined) return this.#end();
    this.fail(this.#started ? incomplete() : new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
  }

  #dismiss(how: 'stop' | 'kill'): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || this.#final) return void socket?.destroy();
    if (how === 'kill') return dismissNow(socket);
    socket.resume();
    socket.write(stopFrame);
    this.#grace = setTimeout(() => dismissNow(socket), this.#stopGraceMs).unref();
  }

  #end(): void {
    this.#ended = true;
    this.#stall.stop();
    this.#ring();
  }

  #ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

/** The word fits into any socket's buffer, so that it leaves even if the worker does not read. */
function dismissNow(socket: Socket): void {
  socket.resume();
  socket.end(killFrame, () => socket.destroy());
}

const incomplete = (more = ''): DynamoError => new DynamoError('stream_incomplete', `Stream ended before generation completed${more}`);

const notStarted = (why: string): DynamoError =>
  new DynamoError('unavailable', `Worker generate() failed before response stream: ${why}`, { data: { broken: true } });
