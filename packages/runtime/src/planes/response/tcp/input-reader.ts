import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { Deadline } from '../../../net/deadline.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import type { TlsClient } from '../../../net/tls.ts';
import { codecs, type CodecName } from '../../../wire/codec.ts';
import { encodeHandshake, sentinel, words } from '../../../wire/control.ts';
import { encodeTwoPart, spanTwoPart } from '../../../wire/two-part.ts';
import type { InputOptions, InputReader } from '../response-plane.ts';
import { connectHome } from './dial.ts';
import { Inbox, type InboxReader } from './inbox.ts';

/** How long a caller may leave a frame incomplete, in milliseconds. */
const defaultStallMs = 30_000;

/** Largest item, in bytes: as large as one of an answer. */
const maxItemBytes = 1024 * 1024 * 1024;

const sentinelBytes = Buffer.from(sentinel);
const stop = Buffer.from(words.stop);
const kill = Buffer.from(words.kill);

/** Calls home for a request's items. */
export function openInput(options: InputOptions, tls?: TlsClient): InputReader {
  return new TcpInputReader(connectHome(options, tls), options);
}

class TcpInputReader implements InputReader, InboxReader {
  readonly #socket: Socket;
  readonly #codec: CodecName;
  readonly #onCancel: InputOptions['onCancel'];
  readonly #stall: Deadline;
  readonly #frames: FrameBuffer = new FrameBuffer();
  readonly #inbox: Inbox = new Inbox();

  constructor(socket: Socket, options: InputOptions) {
    const { stallMs = defaultStallMs } = options;
    this.#socket = socket;
    this.#codec = options.codec;
    this.#onCancel = options.onCancel;
    this.#stall = new Deadline(stallMs, () => this.#fail('kill', truncated(`: part of a frame, and no more for ${stallMs} ms`)));
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => this.#fail('kill', truncated()));
    socket.write(encodeTwoPart({ header: encodeHandshake(options.to.subject, 'request') }));
  }

  next(): Promise<readonly unknown[] | undefined> {
    return this.#inbox.next(this);
  }

  leave(): void {
    this.#close();
  }

  taken(): void {
    if (!this.#socket.isPaused()) return;
    this.#socket.resume();
    if (this.#frames.pending) this.#stall.start();
  }

  #read(chunk: Buffer): void {
    if (this.#inbox.ended) return;
    this.#stall.stop();
    const bytes = this.#frames.add(chunk);
    let at = 0;
    try {
      while (!this.#inbox.ended) {
        const span = spanTwoPart(bytes, at, maxItemBytes);
        if (span === undefined) break;
        if (span.bodyStart > span.headerStart) this.#word(bytes.subarray(span.headerStart, span.bodyStart));
        else this.#inbox.push(codecs[this.#codec].decode(bytes.subarray(span.bodyStart, span.end)));
        at = span.end;
      }
    } catch (cause) {
      return this.#fail('kill', DynamoError.from(cause));
    }
    this.#frames.keep(bytes, this.#inbox.ended ? bytes.length : at);
    this.#inbox.came(at);
    if (this.#inbox.full) this.#socket.pause();
    else if (this.#frames.pending) this.#stall.start();
  }

  #word(header: Buffer): void {
    if (header.equals(sentinelBytes)) this.#close();
    else if (header.equals(stop)) this.#fail('stop', ended('stop'));
    else if (header.equals(kill)) this.#fail('kill', ended('kill'));
    else throw new DynamoError('backend_protocol', `the caller's input holds the unknown word ${header.toString('utf8', 0, 40)}`);
  }

  #fail(how: 'stop' | 'kill', error: DynamoError): void {
    if (this.#inbox.ended) return;
    this.#inbox.spoil(error);
    this.#close();
    this.#onCancel(how, error);
  }

  #close(): void {
    this.#stall.stop();
    this.#inbox.end();
    this.#socket.destroy();
  }
}

const ended = (kind: 'stop' | 'kill'): DynamoError => new DynamoError('cancelled', `the caller sent ${kind}`, { data: { kind } });

const truncated = (more = ''): DynamoError => new DynamoError('stream_incomplete', `the caller's input ended without its closing frame${more}`);
