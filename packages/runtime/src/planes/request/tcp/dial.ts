import { connect, type Socket } from 'node:net';
import { DynamoError } from '../../../error.ts';
import { parseAddress } from '../../../net/address.ts';
import { FrameBuffer } from '../../../net/frame-buffer.ts';
import { fromNodeError } from '../../../net/node-error.ts';

/** Told once whether a worker took a request. */
export type OnAck = (refused: DynamoError | undefined) => void;

/** Sends request frames, one connection an address, and hears their acknowledgements in order. */
export interface RequestSender extends Disposable {
  send(address: string, frame: Uint8Array, onAck: OnAck): void;
}

/** An idle connection is closed after so long, in milliseconds (spec runtime-wire 2). */
const idleMs = 300_000;

/** An acknowledgement is empty or one short sentence. */
const maxAckBytes = 64 * 1024;

/** Opens the request plane's sending side. */
export function dialRequests(timeouts: { connectMs: number; ackMs: number }): RequestSender {
  const connections = new Map<string, Connection>();
  return {
    send(address, frame, onAck) {
      let connection = connections.get(address);
      if (connection === undefined) {
        const target = parseAddress(address);
        if (target === undefined) return onAck(new DynamoError('cannot_connect', `request address '${address}' is not HOST:PORT`));
        connection = new Connection(address, connect({ ...target, noDelay: true }), { ...timeouts, onClose: () => connections.delete(address) });
        connections.set(address, connection);
      }
      connection.send(frame, onAck);
    },
    [Symbol.dispose]() {
      for (const connection of connections.values()) connection.close();
    },
  };
}

class Connection {
  readonly #address: string;
  readonly #socket: Socket;
  readonly #ackMs: number;
  readonly #frames: FrameBuffer = new FrameBuffer();
  #waiting: { onAck: OnAck; since: number }[] = [];
  #corked = false;
  #timer: NodeJS.Timeout;

  constructor(address: string, socket: Socket, options: { connectMs: number; ackMs: number; onClose: () => void }) {
    this.#address = address;
    this.#socket = socket;
    this.#ackMs = options.ackMs;
    let failure: unknown;
    const connecting = setTimeout(
      () => socket.destroy(Object.assign(new Error('connect timed out'), { code: 'ETIMEDOUT' })),
      options.connectMs,
    ).unref();
    this.#timer = setInterval(() => this.#check(), Math.max(50, options.ackMs / 10)).unref();
    socket.setTimeout(idleMs, () => socket.end());
    socket.once('connect', () => clearTimeout(connecting));
    socket.on('error', (error) => (failure = error));
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.once('close', () => {
      clearTimeout(connecting);
      clearInterval(this.#timer);
      options.onClose();
      this.#refuseAll(DynamoError.is(failure) ? failure : fromNodeError(failure, `TCP connection to ${address} failed`));
    });
  }

  /** The requests of one turn leave in one segment. */
  send(frame: Uint8Array, onAck: OnAck): void {
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
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#frames.add(chunk);
    let at = 0;
    while (bytes.length - at >= 4) {
      const length = bytes.readUInt32BE(at);
      if (length > maxAckBytes) {
        this.#socket.destroy(
          new DynamoError('backend_protocol', `acknowledgement of ${length} bytes from ${this.#address} passes the limit of ${maxAckBytes}`),
        );
        return;
      }
      if (bytes.length - at < 4 + length) break;
      this.#waiting.shift()?.onAck(length === 0 ? undefined : refusal(bytes.toString('utf8', at + 4, at + 4 + length)));
      at += 4 + length;
    }
    this.#frames.keep(bytes, at);
  }

  #check(): void {
    const oldest = this.#waiting[0];
    if (oldest === undefined || Date.now() - oldest.since < this.#ackMs) return;
    this.#socket.destroy(new DynamoError('connection_timeout', `TCP request to ${this.#address} timed out`, { data: { ackMs: this.#ackMs } }));
  }

  #refuseAll(error: DynamoError): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { onAck } of waiting) onAck(error);
  }
}

/** Every non-empty acknowledgement refuses; the real client waits for ever on texts that it does not know (spec runtime-wire 4). */
function refusal(text: string): DynamoError {
  if (text.startsWith('Server overloaded:')) return new DynamoError('worker_overloaded', text);
  return new DynamoError('unavailable', text, { data: { broken: text.startsWith('Server unavailable:') } });
}
