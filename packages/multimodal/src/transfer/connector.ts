import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { DynamoError } from '@dynamo/runtime';
import { decodeAgentMetadata, encodeAgentMetadata, nativeScheme } from '../wire/agent-metadata.ts';
import type { RdmaMetadata } from '../wire/rdma-metadata.ts';
import { ReadOperation, WriteOperation } from './active-operation.ts';
import { Descriptor } from './descriptor.ts';
import { transfers, type TransferName } from './index.ts';
import { ReadableOperation, WritableOperation, type Offer } from './passive-operation.ts';
import type { Movement, Transfer } from './transfer.ts';

/** How a connector is made. */
export interface ConnectorOptions {
  /** Name of the worker; a random one by default. */
  readonly workerId?: string;
  /** Default `tcp`. A transfer of one's own is a function from its options. */
  readonly transfer?: TransferName | ((options: { readonly name: string }) => Transfer);
  /** Address on which peers reach this process. Default `127.0.0.1`. */
  readonly host?: string;
  /** Longest silence within one movement, ms. Default 30,000. */
  readonly idleMs?: number;
}

/** One agent of this process and the four operations on it: `dynamo.nixl_connect.Connector` (spec nixl-connect 3). */
export class Connector implements AsyncDisposable {
  readonly workerId: string;
  readonly hostname: string = hostname();
  readonly #transfer: Transfer;

  /** @throws DynamoError `invalid_argument` for an empty worker id. */
  constructor(options: ConnectorOptions = {}) {
    if (options.workerId !== undefined && (typeof options.workerId !== 'string' || options.workerId === '')) {
      throw wrong('workerId', 'Argument `workerId` must be a non-empty string or undefined.');
    }
    this.workerId = options.workerId ?? randomUUID().replaceAll('-', '');
    const open = typeof options.transfer === 'function' ? options.transfer : transfers[options.transfer ?? 'tcp'];
    this.#transfer = open({ name: `${this.workerId}-1`, host: options.host, idleMs: options.idleMs });
  }

  /** Lets a peer read the memory. */
  async createReadable(local: Descriptor | readonly Descriptor[]): Promise<ReadableOperation> {
    return new ReadableOperation(await this.#offer(local, 'read'));
  }

  /** Lets a peer write the memory. */
  async createWritable(local: Descriptor | readonly Descriptor[]): Promise<WritableOperation> {
    return new WritableOperation(await this.#offer(local, 'write'));
  }

  /**
   * Begins to fill memory here from a peer's readable operation.
   *
   * @throws DynamoError `invalid_argument` for metadata of a writable one, other counts or other sizes, `not_implemented` for a native peer.
   */
  beginRead(remote: RdmaMetadata, local: Descriptor | readonly Descriptor[]): ReadOperation {
    const descriptors = this.#hold(local);
    const movement = this.#movement('read', remote, descriptors);
    return new ReadOperation(descriptors, (signal) => this.#transfer.move(movement, signal));
  }

  /**
   * Begins to fill a peer's writable operation from memory here.
   *
   * @throws DynamoError `invalid_argument` for metadata of a readable one, other counts or other sizes, `not_implemented` for a native peer.
   */
  beginWrite(local: Descriptor | readonly Descriptor[], remote: RdmaMetadata): WriteOperation {
    const descriptors = this.#hold(local);
    const movement = this.#movement('write', remote, descriptors);
    return new WriteOperation(descriptors, (signal) => this.#transfer.move(movement, signal));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transfer[Symbol.asyncDispose]();
  }

  async #offer(local: Descriptor | readonly Descriptor[], access: 'read' | 'write'): Promise<Offer> {
    const descriptors = this.#hold(local);
    const agent = encodeAgentMetadata({ scheme: this.#transfer.scheme, bytes: await this.#transfer.metadata() });
    const notificationKey = randomUUID();
    const regions = descriptors.map((descriptor) => this.#transfer.register(bytesOf(descriptor), access));
    const expected = this.#transfer.expect(notificationKey);
    const shared = descriptors.map((descriptor, at) => ({ device: String(descriptor.device), ptr: regions[at]?.ptr ?? 0n, size: descriptor.size }));
    return { metadata: { descriptors: shared, agent, notificationKey, kind: access }, descriptors, regions, expected };
  }

  #hold(local: Descriptor | readonly Descriptor[]): readonly Descriptor[] {
    const descriptors: readonly unknown[] = Array.isArray(local) ? local : [local];
    if (descriptors.length === 0) throw wrong('local', 'Argument `local` must not be an empty list.');
    for (const descriptor of descriptors) {
      if (!(descriptor instanceof Descriptor)) throw wrong('local', 'Argument `local` must be a `Descriptor` or a list of them.');
    }
    const held = descriptors as readonly Descriptor[];
    if (new Set(held.map(({ device }) => device.kind)).size > 1) throw wrong('local', 'All local descriptors must have the same memory type.');
    for (const descriptor of held) descriptor.holdFor(this);
    return held;
  }

  #movement(kind: 'read' | 'write', remote: RdmaMetadata, local: readonly Descriptor[]): Movement {
    if (remote.kind !== kind) {
      throw wrong(
        'remote',
        kind === 'read'
          ? 'Cannot create a `ReadOperation` to read from a remote `WritableOperation`.'
          : 'Cannot create a `WriteOperation` to write to a remote `ReadableOperation`.',
      );
    }
    if (local.length !== remote.descriptors.length) {
      throw wrong('local', `Local and remote descriptors must be the same number. ${local.length} != ${remote.descriptors.length}.`);
    }
    local.forEach(({ size }, at) => {
      const other = remote.descriptors[at]?.size;
      if (size !== other) throw wrong('local', `Local and remote descriptors must be the same size. ${size} != ${other}.`);
    });
    return { kind, local: local.map(bytesOf), remote: remote.descriptors, peer: this.#peer(remote.agent), notificationKey: remote.notificationKey };
  }

  #peer(agent: string): Uint8Array {
    const { scheme, bytes } = decodeAgentMetadata(agent);
    if (scheme === this.#transfer.scheme) return bytes;
    throw new DynamoError(
      'not_implemented',
      scheme === nativeScheme
        ? "the peer is a native NIXL agent, which this connector can't reach: a native NIXL transfer is required"
        : `the peer moves bytes by ${scheme}, this connector by ${this.#transfer.scheme}`,
      { data: { field: 'nixl_metadata', scheme } },
    );
  }
}

function bytesOf(descriptor: Descriptor): Uint8Array {
  if (descriptor.bytes !== undefined) return descriptor.bytes;
  throw new DynamoError('not_implemented', `memory at an address needs a native transfer (${descriptor})`, {
    data: { device: String(descriptor.device) },
  });
}

const wrong = (field: string, message: string): DynamoError => new DynamoError('invalid_argument', message, { data: { field } });
