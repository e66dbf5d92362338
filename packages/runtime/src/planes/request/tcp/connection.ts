import type { Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import type { TransportMeter } from '../../../metrics/caller-metrics.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { onceOpen } from '../../../net/dial.ts';
import { fromNodeError } from '../../../net/node-error.ts';
import { release } from '../../../net/release.ts';
import { speaksTls } from '../../../net/tls.ts';
import { readRefusal } from '../refusal.ts';
import type { OnAck, RequestDialOptions } from '../request-plane.ts';

/** An acknowledgement is empty or one short sentence. */
const maxAckBytes = 64 * 1024;

interface Waiting {
  readonly onAck: OnAck;
  readonly since: number;
}

/** One connection to a worker: frames out, acknowledgements back in their order. */
export class RequestConnection {
  readonly #address: string;
  readonly #socket: Socket;
  readonly #ackMs: number;
  readonly #maxUnsentBytes: number;
  readonly #meter: TransportMeter | undefined;
  readonly #frames: FrameBuffer = new FrameBuffer();
  /** Those before `#answered` have their answer: taking the first off a long array is dear. */
  #waiting: Waiting[] = [];
  #answered = 0;
  #corked = false;
  #suspected: Waiting | undefined;

  constructor(
    address: string,
    socket: Socket,
    options: Required<Omit<RequestDialOptions, 'meter'>> & { meter?: TransportMeter; onLeave: () => void },
  ) {
    this.#address = address;
    this.#socket = socket;
    this.#ackMs = options.ackMs;
    this.#maxUnsentBytes = options.maxUnsentBytes;
    this.#meter = options.meter;
    let failure: unknown;
    const connecting = setTimeout(() => socket.destroy(connectTimedOut(address, options.connectMs)), options.connectMs).unref();
    const checking = setInterval(() => this.#check(), Math.max(20, options.ackMs / 10)).unref();
    socket.setTimeout(options.idleMs, () => {
      options.onLeave();
      socket.destroySoon();
    });
    onceOpen(socket, () => clearTimeout(connecting));
    socket.on('error', (error) => (failure = error));
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('end', options.onLeave);
    socket.once('close', () => {
      clearTimeout(connecting);
      clearInterval(checking);
      options.onLeave();
      this.#refuseAll(DynamoError.is(failure) ? failure : fromNodeError(failure, `TCP connection to ${address} failed`));
    });
  }

  /** Sends a frame, and behind it the body that it announces; the requests of one turn leave in one segment. */
  send(frame: Uint8Array, onAck: OnAck, body?: Uint8Array): void {
    const unsent = this.#socket.writableLength + frame.length + (body?.length ?? 0);
    if (unsent > this.#maxUnsentBytes) {
      onAck(
        new DynamoError('worker_overloaded', `Server overloaded: ${this.#address} does not read, ${unsent} bytes wait for it`, { data: { unsent } }),
      );
      return;
    }
    this.#waiting.push({ onAck, since: Date.now() });
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
    if (body !== undefined) this.#socket.write(body, () => release(body));
  }

  close(): void {
    this.#socket.destroy(new DynamoError('unavailable', 'the runtime is shutting down'));
  }

  #read(chunk: Buffer): void {
    const bytes = this.#frames.add(chunk);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at);
      if (length > maxAckBytes)
        return speaksTls(bytes)
          ? this.#meetTls()
          : this.#breakOff(`acknowledgement of ${length} bytes from ${this.#address} passes the limit of ${maxAckBytes}`);
      if (bytes.length - at < 4 + length) break;
      const waiting = this.#waiting[this.#answered];
      if (waiting === undefined) return this.#breakOff(`${this.#address} acknowledged a request that nobody sent`);
      this.#answered++;
      this.#meter?.received(length);
      waiting.onAck(length === 0 ? undefined : readRefusal(bytes.toString('utf8', at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.#frames.keep(bytes, at);
    this.#forget();
  }

  /** Lets go of the answered ones: all at once when none waits, else when they are the larger half. */
  #forget(): void {
    if (this.#answered < this.#waiting.length && this.#answered * 2 < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#answered);
    this.#answered = 0;
  }

  #meetTls(): void {
    const message = `TCP connection to ${this.#address} failed: it answers in TLS; set DYN_TCP_TLS_CA_CERT_PATH`;
    this.#socket.destroy(new DynamoError('cannot_connect', message, { data: { tls: true } }));
  }

  #breakOff(message: string): void {
    this.#socket.destroy(new DynamoError('backend_protocol', message));
  }

  /** Twice overdue is too late: the first time, the event loop may have been busy and the acknowledgement yet to be read. */
  #check(): void {
    const oldest = this.#waiting[this.#answered];
    const suspected = this.#suspected;
    this.#suspected = oldest !== undefined && Date.now() - oldest.since >= this.#ackMs ? oldest : undefined;
    if (oldest === undefined || this.#suspected !== suspected || suspected === undefined) return;
    this.#socket.destroy(
      new DynamoError('connection_timeout', `TCP request to ${this.#address} timed out`, { data: { limit: 'ack', ms: this.#ackMs } }),
    );
  }

  #refuseAll(error: DynamoError): void {
    const waiting = this.#waiting.slice(this.#answered);
    this.#waiting = [];
    this.#answered = 0;
    this.#meter?.failed(waiting.length);
    for (const { onAck } of waiting) onAck(error);
  }
}

const connectTimedOut = (address: string, ms: number): DynamoError =>
  new DynamoError('connection_timeout', `TCP connection to ${address} failed: no answer within ${ms} ms`, { data: { limit: 'connect', ms } });
