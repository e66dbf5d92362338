import { createServer, type Server, type Socket } from 'node:net';
import { formatAddress } from './address.ts';

/** How many connections may wait to be accepted: bursts of call-homes arrive at once. */
const backlog = 4096;

/** A listening TCP server and its open sockets. */
export interface Listener extends AsyncDisposable {
  /** `HOST:PORT` as others reach it. */
  readonly address: string;
}

/** Listens; disposing closes the server and every socket that is still open. */
export async function listen(options: { host: string; port: number; accept: (socket: Socket) => void }): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    options.accept(socket);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: options.host, port: options.port, backlog }, resolve);
  await promise;
  server.off('error', reject);
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('a TCP server has an address');
  return {
    address: formatAddress(options.host, bound.port),
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}
