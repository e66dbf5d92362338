import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { FastifyInstance } from 'fastify';

const key = Symbol('upgrade');

/** The socket of a request that asks for a websocket, and what of it has been read already. */
export interface Upgrade {
  readonly socket: Duplex;
  readonly head: Buffer;
}

/** The upgrade that a request asks for; undefined for plain ones. */
export const upgradeOf = (request: IncomingMessage): Upgrade | undefined => Reflect.get(request, key) as Upgrade | undefined;

/**
 * Lets requests for a websocket at one path through the routes and hooks that all others pass, so that keys and limits hold for
 * them too. Every other request that names a protocol stays a plain request.
 */
export function routeUpgrades(server: FastifyInstance, path: string): void {
  // Of one server the option is a property; without it, a listener would take every request that names any protocol.
  const plain = server.server as typeof server.server & { shouldUpgradeCallback?: (request: IncomingMessage) => boolean };
  plain.shouldUpgradeCallback = ({ url = '', headers }) => url.split('?')[0] === path && headers.upgrade?.toLowerCase() === 'websocket';
  plain.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const response = new ServerResponse(request);
    response.shouldKeepAlive = false;
    Reflect.set(request, key, { socket, head } satisfies Upgrade);
    socket.on('error', () => socket.destroy());
    response.assignSocket(socket as Parameters<typeof response.assignSocket>[0]);
    server.routing(request as Parameters<typeof server.routing>[0], response as Parameters<typeof server.routing>[1]);
  });
}
