import { once } from 'node:events';
import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { dial, onceOpen } from '../../net/dial.ts';
import { listen } from '../../net/listen.ts';
import type { Tls } from '../../net/tls.ts';

/** A case that an implementation can't pass, and why. */
export interface Skipped {
  readonly case: string;
  readonly reason: string;
}

/** Bare peers of a plane that is a stream of bytes: they send what no implementation would. */
export interface Bytes {
  connect(address: string): Promise<Socket>;
  /** Listens where an implementation will connect. */
  listen(accept: (socket: Socket) => void): Promise<{ readonly address: string } & AsyncDisposable>;
}

/** Both sides in plain text. */
export const plainText: Tls = { server: undefined, client: undefined };

/** Bare peers over TCP, in plain text or in TLS. */
export const bytesOver = ({ server: serverTls, client: clientTls }: Tls): Bytes => ({
  async connect(address) {
    const socket = dial({ port: Number(address.split(':')[1]), host: '127.0.0.1' }, clientTls);
    socket.on('error', () => {});
    await new Promise<void>((resolve) => onceOpen(socket, resolve));
    return socket;
  },
  async listen(accept) {
    const onSocket = (socket: Socket): void => {
      socket.on('error', () => {});
      accept(socket);
    };
    return listen({ host: '127.0.0.1', port: 0, tls: serverTls, accept: onSocket });
  },
});

/** Bare peers over TCP in plain text. */
export const tcpBytes: Bytes = bytesOver(plainText);

/** Everything that a socket says until it closes. */
export async function heard(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(chunks);
}

/** How many TCP connections this process has open. */
export const openSockets = (): number => process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;

/**
 * Declares the cases of a contract: each runs on a stage of its own, opened as it asks, must leave no socket open, and may be skipped only
 * with a reason.
 */
export function cases<Stage extends AsyncDisposable, Options>(open: (options?: Options) => Promise<Stage>, skip: readonly Skipped[]) {
  return (name: string, body: (stage: Stage) => Promise<void>, options?: Options): void => {
    const skipped = skip.find((entry) => entry.case === name);
    test.skipIf(skipped !== undefined)(skipped === undefined ? name : `${name} (${skipped.reason})`, async () => {
      const before = openSockets();
      {
        await using stage = await open(options);
        await body(stage);
      }
      await expect.poll(openSockets, { timeout: 5_000 }).toBeLessThanOrEqual(before);
    });
  };
}
