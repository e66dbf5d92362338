import type { SecureServerOptions } from 'node:http2';
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { DynamoError } from '@dynamo/runtime';
import type { GateLimits } from '../http/gate.ts';
import type { RouteParts } from '../http/routes/parts.ts';
import { definition } from './methods.ts';
import { Service } from './service.ts';

/** Where and how the KServe door listens. */
export interface DoorOptions {
  readonly host: string;
  readonly port: number;
  readonly reusePort: boolean;
  readonly tls: SecureServerOptions | undefined;
  /** Largest message in MiB. */
  readonly messageLimitMb: number;
  readonly gate: GateLimits | undefined;
  /** How long a client may take nothing of a stream, in milliseconds. */
  readonly readerMs: number;
  readonly drainMs: number;
}

/** A KServe v2 server that listens. Closing refuses new requests, waits for running answers, and cuts what takes longer. */
export interface Door extends AsyncDisposable {
  /** `host:port`. */
  readonly address: string;
}

const mib = 1024 * 1024;
/** Calls of one connection at once; what is beyond them waits at the client. */
const callsOfConnection = 1_024;
/** How long the last words of a drain may take to reach their clients, in milliseconds. */
const farewellMs = 2_000;

/** Opens the KServe v2 gRPC server (spec llm 7). */
export async function openDoor(parts: RouteParts, options: DoorOptions): Promise<Door> {
  const server = new Server({
    'grpc.max_receive_message_length': options.messageLimitMb * mib,
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': callsOfConnection,
  });
  const service = new Service(parts, options);
  server.addService(definition, service.handlers);
  const injector = server.createConnectionInjector(credentials(options.tls));
  const sockets = new Set<Socket>();
  const listener = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    // A connection that breaks before HTTP/2 has taken it over.
    socket.on('error', () => socket.destroy());
    injector.injectConnection(socket);
  });
  await listen(listener, options);
  const { address, port } = listener.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const unheard = new Promise<void>((resolve) => listener.close(() => resolve()));
    const drained = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    await service.drain(options.drainMs);
    const timer = setTimeout(() => {
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    }, farewellMs);
    // Their sessions close the sockets, once the last status is out.
    await drained;
    await unheard;
    clearTimeout(timer);
  };
  return {
    address: `${address.includes(':') ? `[${address}]` : address}:${port}`,
    [Symbol.asyncDispose]: () => (closing ??= close()),
  };
}

function credentials(tls: SecureServerOptions | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure();
  const { cert, key, ca, requestCert = false } = tls as { cert: Buffer; key: Buffer; ca?: Buffer; requestCert?: boolean };
  return ServerCredentials.createSsl(ca ?? null, [{ cert_chain: cert, private_key: key }], requestCert);
}

async function listen(listener: NetServer, { host, port, reusePort }: DoorOptions): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      listener.once('error', reject);
      listener.listen({ host, port, ...(reusePort ? { reusePort } : {}) }, () => {
        listener.off('error', reject);
        resolve();
      });
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'EADDRINUSE' ? 'is in use' : code === 'EACCES' ? 'may not be opened by this user' : `can't be opened (${code})`;
    throw new DynamoError('invalid_argument', `port ${port} on ${host} ${why}`, { cause, data: { host, port } });
  }
}
