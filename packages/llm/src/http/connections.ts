import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** The connections of a server, so that a drain can end them: Node keeps no list of those that negotiate their protocol. */
export class Connections {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Ends those that no answer is under way on. */
  closeIdle(): void {
    this.#server.closeIdleConnections();
  }

  /** Ends all of them at once. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
