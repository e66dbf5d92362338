import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { type Logger, silentLogger } from '../log.ts';
import { formatAddress } from './address.ts';
import type { TlsServer } from './tls.ts';

/** How many connections may wait to be accepted: bursts of call-homes arrive at once. */
const backlog = 4096;

/** After so long without a byte the kernel asks whether the peer is still there: a host that vanished says no goodbye. In milliseconds. */
export const keepAliveMs = 60_000;

/** A listening TCP server and its open sockets. */
export interface Listener extends AsyncDisposable {
  /** `HOST:PORT` as others reach it. */
  readonly address: string;
}

/** Listens; disposing closes the server and every socket that is still open. With `halfOpen`, whoever accepts a socket ends it too; with `tls`, only peers that pass the handshake are accepted. */
export async function listen(options: {
  host: string;
  port: number;
  log?: Logger;
  halfOpen?: boolean;
  tls?: TlsServer | undefined;
  accept: (socket: Socket) => void;
}): Promise<Listener> {
  const { log = silentLogger } = options;
  const sockets = new Set<Socket>();
  const how = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs, allowHalfOpen: options.halfOpen === true };
  const server: Server = options.tls === undefined ? createServer(how) : createTlsServer({ ...how, ...options.tls });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on(options.tls === undefined ? 'connection' : 'secureConnection', options.accept);
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    // A certificate that we do not trust is told as a socket that hung up; its reason stands at the socket.
    const { authorizationError: distrust } = socket as { authorizationError?: unknown };
    // Whoever only looks whether the port is open leaves in the middle of the handshake too.
    if (error.code === 'ECONNRESET' && !distrust) log.debug({}, 'a peer left during the TLS handshake');
    else log.warn({ peer: socket.remoteAddress, error: String(distrust || error.message) }, 'a peer failed the TLS handshake');
    socket.destroy();
  });
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
