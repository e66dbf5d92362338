import { createServer, type Server, type Socket } from 'node:net';
import { type Logger, silentLogger } from '../log.ts';
import { formatAddress } from './address.ts';

/** How many connections may wait to be accepted: bursts of call-homes arrive at once. */
const backlog = 4096;

/** After so long without a byte the kernel asks whether the peer is still there: a host that vanished says no goodbye. In milliseconds. */
export const keepAliveMs = 60_000;

/** A listening TCP server and its open sockets. */
export interface Listener extends AsyncDisposable {
  /** `HOST:PORT` as others reach it. */
  readonly address: string;
}

/** Listens; disposing closes the server and every socket that is still open. With `halfOpen`, whoever accepts a socket ends it too. */
export async function listen(options: {
  host: string;
  port: number;
  log?: Logger;
  halfOpen?: boolean;
  accept: (socket: Socket) => void;
}): Promise<Listener> {
  const { log = silentLogger } = options;
  const sockets = new Set<Socket>();
  const server: Server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, allowHalfOpen: options.halfOpen === true },
    (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      options.accept(socket);
    },
  );
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host: options.host, port: options.port, backlog }, resolve);
  await promise;
  server.off('error', reject);
  // One connection that could not be accepted, for want of a descriptor, must not end the process.
  server.on('error', (error) => log.warn({ error: String(error) }, 'could not accept a connection'));
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
