import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A server that counts who so much as connects. */
export interface Canary extends AsyncDisposable {
  readonly port: number;
  readonly connections: number;
  readonly paths: readonly string[];
}

/** Listens on every local address, both families, so that no spelling of this machine passes it by. */
export async function openCanary(answer: RequestListener = (_request, response) => void response.end('meow')): Promise<Canary> {
  const paths: string[] = [];
  let connections = 0;
  const server: Server = createServer((request, response) => {
    paths.push(request.url as string);
    answer(request, response);
  });
  server.on('connection', () => (connections += 1));
  server.listen(0);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    paths,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
