/** A piece of this process's memory that peers may touch until it is disposed. */
export interface Region extends Disposable {
  /** What peers call it; never 0. */
  readonly ptr: bigint;
}

/** Memory of a peer, as its metadata names it. */
export interface RemoteRegion {
  readonly ptr: bigint;
  readonly size: number;
}

/** One movement of bytes between memory here and memory there, pair by pair. */
export interface Movement {
  /** `read` fills the memory here, `write` the memory there. */
  readonly kind: 'read' | 'write';
  readonly local: readonly Uint8Array[];
  readonly remote: readonly RemoteRegion[];
  /** Agent metadata of the peer, of this transfer's own scheme. */
  readonly peer: Uint8Array;
  /** What the peer is told once the last byte has arrived. */
  readonly notificationKey: string;
}

/** What the passive side waits for. */
export interface Expected extends Disposable {
  /** Resolves when a peer has finished with the key; rejects when a peer that had begun was cut off. */
  readonly finished: Promise<void>;
}

/**
 * A way to move bytes between two agents. One file and one registry line add another; native RDMA fits as well, with the
 * agent's opaque bytes as metadata and real addresses as pointers.
 */
export interface Transfer extends AsyncDisposable {
  /** Scheme of the metadata; a peer of another scheme is refused before anything is sent. */
  readonly scheme: string;
  /** What peers need to reach this agent. */
  metadata(): Promise<Uint8Array>;
  /** Lets peers read or write a piece of memory, never both. */
  register(bytes: Uint8Array, access: 'read' | 'write'): Region;
  /** Waits for the peer that ends its work with this key. */
  expect(notificationKey: string): Expected;
  /**
   * Moves the bytes and tells the peer.
   *
   * @throws DynamoError `cannot_connect`, `disconnected`, `response_timeout`, `permission_denied`, `not_found`, `cancelled`.
   */
  move(movement: Movement, signal: AbortSignal): Promise<void>;
}

/** What every transfer is opened with. */
export interface TransferOptions {
  /** Name of the agent, for people who read metadata. */
  readonly name: string;
  /** Address to listen on and to tell peers. Default `127.0.0.1`: nobody else's machine is served unasked. */
  readonly host?: string | undefined;
  /** Longest silence within one movement, ms. Default 30,000. */
  readonly idleMs?: number | undefined;
}
