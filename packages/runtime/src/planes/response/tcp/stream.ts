import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { Deadline } from '../../../net/deadline.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { decodeFrame } from '../../../wire/annotated.ts';
import type { CodecName } from '../../../wire/codec.ts';
import { decodePrologue, sentinel, words } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart, twoPartBytes } from '../../../wire/two-part.ts';
import type { ItemReader, ResponseStream, StreamOptions } from '../response-plane.ts';
import { Inbox, type InboxReader } from './inbox.ts';

/** Largest response frame, in bytes: the real system sets no limit and 40 MiB items pass; memory must have one. */
const maxResponseBytes = 1024 * 1024 * 1024;

const stopFrame = encodeTwoPart({ header: words.stop });
const killFrame = encodeTwoPart({ header: words.kill });
const sentinelBytes = Buffer.from(sentinel);

/** Limits of a listener's streams, in milliseconds. */
export interface StreamLimits {
  readonly stallMs: number;
  readonly prologueMs: number;
  readonly stopGraceMs: number;
}

/** A response stream over a socket of its own (spec runtime-wire 6). */
export class TcpResponseStream implements ResponseStream, InboxReader {
  readonly #codec: CodecName;
  readonly #readItem: ItemReader | undefined;
  readonly #limits: StreamLimits;
  readonly #stall: Deadline;
  readonly #onLeave: () => void;
  readonly #frames: FrameBuffer = new FrameBuffer();
  readonly #inbox: Inbox = new Inbox();
  #socket: Socket | undefined;
  #started = false;
  #final = false;
  #left = false;
  #grace: NodeJS.Timeout | undefined;
  /** Lets go of the signal that kills; there while one is followed. */
  #unfollow: (() => void) | undefined;

  constructor(options: StreamOptions & { limits: StreamLimits; onLeave: () => void }) {
    this.#codec = options.codec;
    this.#readItem = options.readItem;
    this.#limits = options.limits;
    this.#stall = new Deadline(options.limits.stallMs, () => this.#overdue());
    this.#onLeave = options.onLeave;
    const { kill } = options;
    if (kill === undefined) return;
    const onAbort = (): void => this.#killNow(kill.reason);
    kill.addEventListener('abort', onAbort, { once: true });
    this.#unfollow = () => kill.removeEventListener('abort', onAbort);
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  /** Takes over the socket that has shown this stream's subject, with what it sent behind its handshake. */
  attach(socket: Socket, rest: Buffer): void {
    if (this.#left || this.#inbox.ended) return dismissNow(socket);
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    // A stopped worker closes its side and may still have to hear of a kill, where somebody can send one.
    socket.once('end', () => {
      if (this.#grace === undefined || this.#unfollow === undefined) socket.end();
    });
    socket.once('close', () => this.#closed());
    if (rest.length > 0) this.#read(rest);
    if (!this.#started) this.#watch();
  }

  next(): Promise<readonly unknown[] | undefined> {
    return this.#inbox.next(this);
  }

  fail(error: DynamoError, how: 'stop' | 'kill' = 'kill'): void {
    if (this.#inbox.ended) return;
    this.#inbox.spoil(error);
    this.#end();
    this.#dismiss(how);
  }

  leave(): void {
    this.#left = true;
    this.#onLeave();
    if (!this.#inbox.ended) {
      this.#end();
      this.#dismiss('kill');
    }
    if (this.#socket === undefined) this.#unhook();
  }

  taken(): void {
    if (this.#socket?.isPaused() !== true) return;
    this.#socket.resume();
    this.#watch();
  }

  /** Also after a stop, while the worker has time to heed it. */
  #killNow(reason: unknown): void {
    if (!this.#inbox.ended) this.fail(killedBy(reason), 'kill');
    else if (this.#grace !== undefined && this.#socket !== undefined) dismissNow(this.#socket);
  }

  #read(chunk: Buffer): void {
    if (this.#inbox.ended) return;
    const bytes = this.#frames.add(chunk);
    let at = 0;
    try {
      for (;;) {
        const span = spanTwoPart(bytes, at, maxResponseBytes);
        if (span === undefined) break;
        if (span.bodyStart > span.headerStart) this.#control(bytes.subarray(span.headerStart, span.bodyStart));
        else this.#item(bytes, span.bodyStart, span.end);
        if (this.#inbox.ended) break;
        at = span.end;
      }
    } catch (cause) {
      this.fail(DynamoError.from(cause));
      return;
    }
    this.#frames.keep(bytes, this.#inbox.ended ? bytes.length : at, twoPartBytes(bytes, at));
    this.#inbox.came(at);
    if (this.#inbox.full) this.#socket?.pause();
    this.#watch();
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
      this.#inbox.push(fast);
      return;
    }
    const frame = decodeFrame(bytes.subarray(start, end), this.#codec);
    if (frame.kind === 'item') this.#inbox.push(frame.data);
    else if (frame.kind === 'final') this.#final = true;
    // It is thrown when the final frame has come, so that the worker ends in peace.
    else if (frame.kind === 'error') this.#inbox.spoil(frame.error);
  }

  /** A worker must say soon whether it has started, go on soon with a frame that it has begun, and end soon after its last word. */
  #watch(): void {
    this.#stall.stop();
    const owes = !this.#started || this.#frames.pending || this.#final || this.#inbox.error !== undefined;
    // While the consumer holds the socket back, the worker can't go on.
    if (!owes || this.#inbox.ended || this.#socket?.isPaused() === true) return;
    this.#stall.start(this.#started ? this.#limits.stallMs : this.#limits.prologueMs);
  }

  #overdue(): void {
    const { stallMs, prologueMs } = this.#limits;
    if (!this.#started) this.fail(silent(prologueMs));
    else if (this.#final || this.#inbox.error !== undefined) this.#end();
    else this.fail(incomplete(`: part of a frame, and no more for ${stallMs} ms`));
    if (this.#socket !== undefined) dismissNow(this.#socket);
  }

  #closed(): void {
    clearTimeout(this.#grace);
    this.#grace = undefined;
    this.#unhook();
    if (this.#inbox.ended) return;
    if (this.#final || this.#inbox.error !== undefined) return this.#end();
    this.fail(this.#started ? incomplete() : new DynamoError('disconnected', 'Worker disconnected before response stream was established'));
  }

  #dismiss(how: 'stop' | 'kill'): void {
    const socket = this.#socket;
    if (socket === undefined || socket.destroyed || this.#final) return void socket?.destroy();
    if (how === 'kill') return dismissNow(socket);
    socket.resume();
    socket.write(stopFrame);
    this.#grace = setTimeout(() => dismissNow(socket), this.#limits.stopGraceMs).unref();
  }

  #end(): void {
    this.#stall.stop();
    this.#inbox.end();
  }

  #unhook(): void {
    this.#unfollow?.();
    this.#unfollow = undefined;
  }
}

/** The word fits into any socket's buffer, so that it leaves even if the worker does not read. */
function dismissNow(socket: Socket): void {
  socket.resume();
  socket.end(killFrame, () => socket.destroy());
}

const killedBy = (reason: unknown): DynamoError =>
  DynamoError.is(reason, 'cancelled') ? reason : new DynamoError('cancelled', 'the call was killed', { cause: reason, data: { kind: 'kill' } });

const silent = (ms: number): DynamoError =>
  new DynamoError('connection_timeout', `the worker called home and did not say within ${ms} ms whether its handler has started`, {
    data: { limit: 'prologue', ms },
  });

const incomplete = (more = ''): DynamoError => new DynamoError('stream_incomplete', `Stream ended before generation completed${more}`);

const notStarted = (why: string): DynamoError =>
  new DynamoError('unavailable', `Worker generate() failed before response stream: ${why}`, { data: { broken: true } });
