import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { DynamoError } from '@dynamo/runtime';
import { Expectations } from '../expectations.ts';
import { Regions } from '../regions.ts';
import type { Expected, Movement, Region, Transfer, TransferOptions } from '../transfer.ts';
import type { Address } from './peer-connection.ts';
import { Peers } from './peers.ts';
import { ServedConnection } from './served-connection.ts';

/** Connections of peers to one agent; more are closed at once. */
const maxConnections = 256;

/** Real bytes over TCP between processes, for those who know the agent's token (spec nixl-connect 5). */
export class TcpTransfer implements Transfer {
  readonly scheme = 'tcp';
  readonly #options: TransferOptions;
  readonly #idleMs: number;
  readonly #token: string = randomBytes(32).toString('hex');
  readonly #regions = new Regions();
  readonly #expectations = new Expectations();
  readonly #sockets = new Set<Socket>();
  readonly #peers: Peers;
  #listening: Promise<Server> | undefined;

  constructor(options: TransferOptions) {
    this.#options = options;
    this.#idleMs = options.idleMs ?? 30_000;
    this.#peers = new Peers(this.#idleMs);
  }

  async metadata(): Promise<Uint8Array> {
    const { port } = (await (this.#listening ??= this.#listen())).address() as AddressInfo;
    return Buffer.from(JSON.stringify({ v: 1, name: this.#options.name, host: this.#host, port, token: this.#token }));
  }

  register(bytes: Uint8Array, access: 'read' | 'write'): Region {
    return this.#regions.add(bytes, access);
  }

  expect(notificationKey: string): Expected {
    return this.#expectations.expect(notificationKey);
  }

  async move(movement: Movement, signal: AbortSignal): Promise<void> {
    await this.#peers.move(addressOf(movement.peer), movement, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#peers.close();
    this.#expectations.failAll(new DynamoError('cancelled', 'the transfer was closed'));
    const server = await this.#listening?.catch(() => undefined);
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise<void>((resolve) => server.close(() => resolve()));
  }

  get #host(): string {
    return this.#options.host ?? '127.0.0.1';
  }

  async #listen(): Promise<Server> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const shared = { regions: this.#regions, expectations: this.#expectations, admits: this.#admits, idleMs: this.#idleMs };
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
      new ServedConnection(socket, shared);
    });
    server.maxConnections = maxConnections;
    server.once('error', reject);
    server.listen({ host: this.#host, port: 0 }, resolve);
    try {
      await promise;
    } catch (cause) {
      throw new DynamoError('cannot_connect', `transfers can't listen on ${this.#host}: ${(cause as Error).message}`, {
        cause,
        data: { host: this.#host },
      });
    }
    // What comes after listening is a failed accept: that peer tries again.
    server.on('error', () => {});
    return server;
  }

  readonly #admits = (token: string): boolean => {
    const given = Buffer.from(token);
    const own = Buffer.from(this.#token);
    return given.length === own.length && timingSafeEqual(given, own);
  };
}

function addressOf(metadata: Uint8Array): Address {
  try {
    const { v, host, port, token } = JSON.parse(Buffer.from(metadata).toString()) as Record<string, unknown>;
    if (
      v === 1 &&
      typeof host === 'string' &&
      typeof token === 'string' &&
      Number.isInteger(port) &&
      (port as number) > 0 &&
      (port as number) < 65_536
    ) {
      return { host, port: port as number, token };
    }
  } catch (cause) {
    throw new DynamoError('invalid_argument', 'nixl_metadata is not JSON of a TCP agent', { cause, data: { field: 'nixl_metadata' } });
  }
  throw new DynamoError('invalid_argument', 'nixl_metadata lacks v = 1, host, port or token of a TCP agent', { data: { field: 'nixl_metadata' } });
}
