import { DynamoError } from '@dynamo/runtime';
import type { Movement } from '../transfer.ts';
import { PeerConnection, type Address } from './peer-connection.ts';

/** Connections to one peer that stay open while nothing moves. */
const maxResting = 4;

/** Movements to one peer at once; more wait for their turn. */
const maxMoving = 8;

interface Peer {
  readonly resting: PeerConnection[];
  readonly moving: Set<PeerConnection>;
  readonly turns: (() => void)[];
}

/** Connections to the peers of one agent. A broken or cancelled one is thrown away, the rest are used again. */
export class Peers {
  readonly #peers = new Map<string, Peer>();
  readonly #idleMs: number;
  #closed = false;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  async move(address: Address, movement: Movement, signal: AbortSignal): Promise<void> {
    const peer = this.#peerAt(address);
    await turn(peer, signal);
    if (this.#closed) throw new DynamoError('cancelled', 'the transfer was closed');
    const connection = take(peer) ?? new PeerConnection(address, this.#idleMs);
    connection.rest(false);
    peer.moving.add(connection);
    try {
      await connection.move(movement, signal);
    } finally {
      peer.moving.delete(connection);
      this.#giveBack(peer, connection);
      peer.turns.shift()?.();
    }
  }

  close(): void {
    this.#closed = true;
    for (const { resting, moving } of this.#peers.values()) for (const connection of [...resting, ...moving]) connection.close();
    this.#peers.clear();
  }

  #peerAt({ host, port, token }: Address): Peer {
    const key = `${host} ${port} ${token}`;
    let peer = this.#peers.get(key);
    if (peer === undefined) this.#peers.set(key, (peer = { resting: [], moving: new Set(), turns: [] }));
    return peer;
  }

  #giveBack(peer: Peer, connection: PeerConnection): void {
    if (this.#closed || !connection.usable || peer.resting.length >= maxResting) return connection.close();
    connection.rest(true);
    peer.resting.push(connection);
  }
}

/** A resting connection that the peer has not closed meanwhile. */
function take(peer: Peer): PeerConnection | undefined {
  for (let found = peer.resting.pop(); found !== undefined; found = peer.resting.pop()) if (found.usable) return found;
  return undefined;
}

async function turn(peer: Peer, signal: AbortSignal): Promise<void> {
  while (peer.moving.size >= maxMoving) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const leave = (): void => reject(DynamoError.from(signal.reason));
    signal.addEventListener('abort', leave, { once: true });
    peer.turns.push(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leave);
      const at = peer.turns.indexOf(resolve);
      if (at >= 0) peer.turns.splice(at, 1);
    }
  }
}
