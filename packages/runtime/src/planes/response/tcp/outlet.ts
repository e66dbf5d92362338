import type { Socket } from 'node:net';
import { apartBytes, encodeTwoPart, encodeTwoPartHead } from '../../../wire/two-part.ts';

/** How many bytes may gather within one turn of the event loop before they are sent. */
const gatherBytes = 64 * 1024;

/** Frames on their way out of a socket: what is sent within one turn leaves together. */
export class Outlet {
  readonly #socket: Socket;
  readonly #closed: Promise<void>;
  #gathered: Uint8Array[] = [];
  #gatheredBytes = 0;

  constructor(socket: Socket, closed: Promise<void>) {
    this.#socket = socket;
    this.#closed = closed;
  }

  /** Undefined while the way is free, else a promise for when it is again or the socket has closed. */
  get full(): Promise<void> | undefined {
    return this.#socket.writableNeedDrain ? this.#drained() : undefined;
  }

  /**
   * Gathers what is sent within one turn, so that tokens which arrive together leave together.
   *
   * They leave after the turn has read its sockets: writing to a caller that has gone would close the socket over the kill
   * that it has sent last.
   */
  send(frame: Uint8Array): void {
    if (this.#gathered.length === 0) setImmediate(() => this.flush());
    this.gather(frame);
    if (this.#gatheredBytes >= gatherBytes) this.flush();
  }

  /** Sends a message without a header. A large body is not copied: it must stay as it is until `onSent`, which small ones do not call. */
  sendBody(body: Uint8Array, onSent?: () => void): void {
    if (body.length < apartBytes) return this.send(encodeTwoPart({ body }));
    this.flush();
    if (!this.#socket.writable) return;
    // One system call takes both.
    this.#socket.cork();
    this.#socket.write(encodeTwoPartHead({ bodyBytes: body.length }));
    this.#socket.write(body, onSent);
    this.#socket.uncork();
  }

  /** Puts a frame behind those that wait, for a `flush` that the caller makes itself. */
  gather(frame: Uint8Array): void {
    this.#gathered.push(frame);
    this.#gatheredBytes += frame.length;
  }

  flush(onSent?: () => void): void {
    if (this.#gathered.length === 0) return;
    const [only] = this.#gathered;
    const bytes = this.#gathered.length === 1 && only !== undefined ? only : Buffer.concat(this.#gathered, this.#gatheredBytes);
    this.discard();
    if (this.#socket.writable) this.#socket.write(bytes, onSent);
  }

  /** Forgets what has not left yet. */
  discard(): void {
    this.#gathered = [];
    this.#gatheredBytes = 0;
  }

  async #drained(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#socket.once('drain', resolve);
    await Promise.race([promise, this.#closed]);
    this.#socket.off('drain', resolve);
  }
}
