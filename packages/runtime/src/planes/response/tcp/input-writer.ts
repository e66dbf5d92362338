import type { Socket } from 'node:net';
import { sentinel, words } from '../../../wire/control.ts';
import { encodeTwoPart } from '../../../wire/two-part.ts';
import type { InputWriter } from '../response-plane.ts';
import { Outlet } from './outlet.ts';

/** How long a worker may take to close after the closing frame, in milliseconds. */
const closeMs = 5_000;

const endings = {
  done: encodeTwoPart({ header: sentinel }),
  stop: encodeTwoPart({ header: words.stop }),
  kill: encodeTwoPart({ header: words.kill }),
} as const;

/** A request's items over a socket of their own: body-only frames, then one closing frame (spec runtime-wire 7). */
export class TcpInputWriter implements InputWriter {
  readonly #ready: PromiseWithResolvers<boolean> = Promise.withResolvers<boolean>();
  readonly #closed: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  readonly #onEnd: () => void;
  #socket: Socket | undefined;
  #outlet: Outlet | undefined;
  #ended = false;

  constructor(options: { onEnd: () => void }) {
    this.#onEnd = options.onEnd;
  }

  get attached(): boolean {
    return this.#socket !== undefined;
  }

  get ready(): Promise<boolean> {
    return this.#ready.promise;
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** Takes over the socket that has shown this input's subject. A worker only reads: what it sends is not looked at. */
  attach(socket: Socket): void {
    if (this.#ended) return void socket.destroy();
    this.#socket = socket;
    this.#outlet = new Outlet(socket, this.#closed.promise);
    socket.resume();
    socket.once('end', () => socket.destroy());
    socket.once('close', () => {
      this.#ended = true;
      this.#closed.resolve();
    });
    this.#ready.resolve(true);
  }

  write(items: readonly Uint8Array[]): Promise<void> | undefined {
    if (this.#ended || this.#outlet === undefined) return undefined;
    for (const body of items) this.#outlet.sendBody(body);
    return this.#outlet.full;
  }

  end(how: 'done' | 'stop' | 'kill'): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#onEnd();
    this.#ready.resolve(false);
    const socket = this.#socket;
    if (socket === undefined || this.#outlet === undefined) return this.#closed.resolve();
    this.#outlet.gather(endings[how]);
    this.#outlet.flush();
    // A slow worker may take its time with what was sent; one whose request has ended may not.
    if (how === 'done') socket.end(() => this.#closeSoon(socket));
    else {
      socket.end();
      this.#closeSoon(socket);
    }
  }

  #closeSoon(socket: Socket): void {
    if (socket.closed) return;
    const timer = setTimeout(() => socket.destroy(), closeMs).unref();
    socket.once('close', () => clearTimeout(timer));
  }
}
