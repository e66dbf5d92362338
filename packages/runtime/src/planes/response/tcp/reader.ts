import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { decodeFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { decodePrologue } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';

/** Reads one item straight from a frame's bytes, or gives up with undefined so that the general decoder reads it. */
export type ItemReader = (bytes: Uint8Array, start: number, end: number) => unknown;

/** Largest response frame, in bytes: the real system sets no limit and 40 MiB items pass; memory must have one. */
const maxResponseBytes = 1024 * 1024 * 1024;

/** How many decoded items may wait for a slow consumer before the socket is paused. */
const waitingLimit = 1024;

/** How long a worker may take to close after a stop before it is killed, in milliseconds. */
const stopGraceMs = 5_000;

const stopFrame = encodeTwoPart({ header: Buffer.from('"stop"') });
const killFrame = encodeTwoPart({ header: Buffer.from('"kill"') });

/** The caller's end of one response stream: everything that one socket read held comes out as one array. */
export class ResponseReader {
  readonly #codec: CodecName;
  readonly #readItem: ItemReader | undefined;
  readonly #frames: FrameBuffer = new FrameBuffer();
  #items: unknown[] = [];
  #socket: Socket | undefined;
  #wake: (() => void) | undefined;
  #started = false;
  #final = false;
  #ended = false;
  #error: DynamoError | undefined;
  #left = false;
  #graceTimer: NodeJS.Timeout | undefined;

  constructor(options: { codec: CodecName; readItem?: ItemReader | undefined }) {
    this.#codec = options.codec;
    this.#readItem = options.readItem;
  }

  /** True once the worker has called home. */
  get attached(): boolean {
    return this.#socket !== undefined;
  }

  /** Takes over the socket that has shown this stream's subject, with what it sent behind its handshake. */
  attach(socket: Socket, rest: Buffer): void {
    if (this.#left || this.#ended) {
      socket.end(killFrame);
      return;
    }
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => this.#closed());
    if (rest.length > 0) this.#read(rest);
  }

  /** The next batch, or undefined at the clean end; throws after the good items that came before an error. */
  async next(): Promise<readonly unknown[] | undefined> {
    for (;;) {
      if (this.#items.length > 0) {
        const batch = this.#items;
        this.#items = [];
        if (this.#socket?.isPaused() === true) this.#socket.resume();
        return batch;
      }
      if (this.#ended) {
        if (this.#error !== undefined) throw this.#error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }

  /** Ends the stream for its reader with an error; an open worker is stopped or killed. */
  fail(error: DynamoError, how: 'stop' | 'kill' = 'kill'): void {
    if (this.#ended) return;
    this.#error ??= error;
    this.#end();
    this.#dismiss(how);
  }

  /** The consumer has gone: kills the worker unless the stream is complete. */
  leave(): void {
    this.#left = true;
    if (!this.#ended) {
      this.#end();
      this.#dismiss('kill');
    }
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
    if (this.#items.length >= waitingLimit) this.#socket?.pause();
    if (this.#items.length > 0) this.#ring();
  }

  #control(header: Buffer): void {
    if (!this.#started) {
      const refused = decodePrologue(header);
      if (refused !== null)
        return this.fail(new DynamoError('unavailable', `Worker generate() failed before response stream: ${refused}`, { data: { broken: true } }));
      this.#started = true;
    } else if (header.equals(sentinelBytes)) {
      if (this.#final) this.#end();
      else this.fail(incomplete());
      this.#socket?.destroy();
    }
  }

  #item(bytes: Buffer, start: number, end: number): void {
    if (!this.#started) {
      return this.fail(
        new DynamoError('unavailable', 'Worker generate() failed before response stream: malformed prologue: expected HeaderOnly ControlMessage', {
          data: { broken: true },
        }),
      );
    }
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

  #closed(): void {
    clearTimeout(this.#graceTimer);
    if (this.#ended) return;
    if (this.#final || this.#error !== undefined) return this.#end();
    this.fail(this.#started ? incomplete() : new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
  }

  #dismiss(how: 'stop' | 'kill'): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || this.#final) return void socket?.destroy();
    socket.resume();
    if (how === 'kill') return void socket.end(killFrame, () => socket.destroy());
    socket.write(stopFrame);
    this.#graceTimer = setTimeout(() => void socket.end(killFrame, () => socket.destroy()), stopGraceMs).unref();
  }

  #end(): void {
    this.#ended = true;
    this.#ring();
  }

  #ring(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}

const sentinelBytes = Buffer.from('"sentinel"');

const incomplete = (): DynamoError => new DynamoError('stream_incomplete', 'Stream ended before generation completed');
