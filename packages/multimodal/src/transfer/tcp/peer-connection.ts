import { connect, type Socket } from 'node:net';
import { DynamoError } from '@dynamo/runtime';
import type { Movement } from '../transfer.ts';
import { encodeFrame, type FrameHeader } from './frame.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';

/** How an agent of this scheme is reached. */
export interface Address {
  readonly host: string;
  readonly port: number;
  readonly token: string;
}

/** A peer that does not answer a connection attempt for so long is not there, ms. */
const connectMs = 5_000;

/** The active end of a connection: moves one set of regions at a time, reading straight into the memory that asked. */
export class PeerConnection implements FrameSink {
  readonly #address: Address;
  readonly #socket: Socket;
  readonly #reader = new FrameReader(this);
  readonly #idleMs: number;
  readonly #opened: Promise<void>;
  #movement: Movement | undefined;
  #outcome: PromiseWithResolvers<void> | undefined;
  #ended: DynamoError | undefined;

  constructor(address: Address, idleMs: number) {
    this.#address = address;
    this.#idleMs = idleMs;
    const opened = Promise.withResolvers<void>();
    opened.promise.catch(() => {});
    this.#opened = opened.promise;
    this.#socket = connect({
      host: address.host,
      port: address.port,
      noDelay: true,
      onread: { buffer: () => this.#reader.target() as Buffer, callback: (count) => this.#advance(count) },
    });
    this.#socket.setTimeout(connectMs, () =>
      this.#end(new DynamoError('response_timeout', `${this.#name} was silent for ${this.#socket.timeout} ms`)),
    );
    this.#socket.on('connect', () => opened.resolve());
    // Read by `close`, which comes after it and also without it.
    let fault: Error | undefined;
    this.#socket.on('error', (error) => (fault = error));
    this.#socket.on('close', () => {
      opened.reject(new DynamoError('cannot_connect', `${this.#name} can't be reached`, { cause: fault }));
      this.#end(new DynamoError('disconnected', `${this.#name} went away`, { cause: fault }));
    });
  }

  get usable(): boolean {
    return this.#ended === undefined;
  }

  async move(movement: Movement, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const abort = (): void => this.#end(DynamoError.from(signal.reason));
    signal.addEventListener('abort', abort, { once: true });
    this.#outcome = Promise.withResolvers<void>();
    this.#outcome.promise.catch(() => {});
    try {
      await Promise.race([this.#opened, this.#outcome.promise]);
      this.#socket.setTimeout(this.#idleMs);
      this.#movement = movement;
      this.#socket.write(encodeFrame({ op: movement.kind, token: this.#address.token, notif: movement.notificationKey, regions: movement.remote }));
      await this.#outcome.promise;
    } finally {
      signal.removeEventListener('abort', abort);
      this.#movement = undefined;
      this.#outcome = undefined;
      this.#socket.setTimeout(0);
    }
  }

  close(): void {
    this.#end(new DynamoError('cancelled', 'the transfer was closed'));
  }

  /** An idle connection keeps no process alive. */
  rest(resting: boolean): void {
    if (resting) this.#socket.unref();
    else this.#socket.ref();
  }

  header(header: FrameHeader): readonly Uint8Array[] {
    if (header.op === 'err') throw new DynamoError(header.code, `${this.#name} refused the transfer: ${header.message}`, { origin: 'backend' });
    const movement = this.#movement;
    if (movement?.kind === 'read' && header.op === 'data') return movement.local;
    if (movement?.kind === 'write' && header.op === 'go') return (this.#send(movement), []);
    if (movement?.kind === 'write' && header.op === 'done') return (this.#outcome?.resolve(), []);
    throw new DynamoError('backend_protocol', `${this.#name} sent ${header.op}, which was not expected here`);
  }

  filled(): void {
    this.#socket.write(encodeFrame({ op: 'done' }));
    this.#outcome?.resolve();
  }

  #send(movement: Movement): void {
    this.#socket.cork();
    this.#socket.write(encodeFrame({ op: 'data' }));
    for (const piece of movement.local) if (piece.byteLength > 0) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #advance(count: number): boolean {
    try {
      this.#reader.advance(count);
    } catch (error) {
      this.#end(DynamoError.from(error));
    }
    return true;
  }

  #end(error: DynamoError): void {
    this.#ended ??= error;
    this.#outcome?.reject(error);
    this.#socket.destroy();
  }

  get #name(): string {
    return `transfer peer ${this.#address.host}:${this.#address.port}`;
  }
}
