import { DynamoError } from '@dynamo/runtime';
import { decodeRules, type DecodeOptions } from './decode/rules.ts';
import { fetchRules, type FetchOptions } from './fetch/rules.ts';
import { contentHash } from './hash.ts';
import { loadMedia, type LoadRules, type Media, type MediaPart } from './media.ts';
import { Connector } from './transfer/connector.ts';
import { Descriptor } from './transfer/descriptor.ts';
import { decodeDecoded } from './wire/decoded.ts';
import { decodeRdmaMetadata, encodeRdmaMetadata, type RdmaMetadata } from './wire/rdma-metadata.ts';

/** How media and memory are handled; every default is the careful one. */
export interface MultimodalOptions {
  /** Where media may come from. */
  fetch?: FetchOptions;
  /** How large decoded media may be. */
  decode?: DecodeOptions;
  /** How bytes move between workers. */
  transfer?: {
    /** `tcp` between processes, `shared-memory` between threads of one. Default `tcp`. */
    by?: 'tcp' | 'shared-memory';
    /** Address on which other workers reach this one. Default `127.0.0.1`. */
    host?: string;
    /** Longest silence within one transfer, ms. Default 30,000. */
    idleMs?: number;
    /** Most bytes that `read` makes room for by itself. Default 1 GiB. */
    maxBytes?: number;
  };
}

/** Memory that other workers may read until it is disposed. */
export interface Shared extends AsyncDisposable {
  /** What `read` takes, in any process that can reach this one. It holds a secret: give it to nobody else. */
  readonly descriptor: string;
  /** Resolves when one reader has all bytes; rejects when a reader was cut off. */
  readonly read: Promise<void>;
}

/** Room that `read` makes unasked. */
const defaultMaxBytes = 1024 ** 3;

/** Media and the memory they lie in: one entry for loading, hashing and moving it between workers. */
export class Multimodal implements AsyncDisposable {
  readonly #connector: Connector;
  readonly #maxBytes: number;
  readonly #load: LoadRules;

  constructor(options: MultimodalOptions = {}) {
    const { by = 'tcp', maxBytes = defaultMaxBytes, ...rest } = options.transfer ?? {};
    this.#connector = new Connector({ transfer: by, ...rest });
    this.#maxBytes = maxBytes;
    this.#load = { fetch: fetchRules(options.fetch, process.env), decode: decodeRules(options.decode) };
  }

  /**
   * Fetches, sniffs and decodes a medium: one step under one policy. Its host is resolved once, every redirect is judged anew.
   *
   * @throws DynamoError `invalid_argument` when the policy refuses its URL or its bytes are damaged, `unsupported_media` for what
   * nobody decodes, `payload_too_large` over a limit, `cannot_connect` and `deadline_exceeded` when it can't be had.
   */
  load(part: MediaPart, options: { signal?: AbortSignal } = {}): Promise<Media> {
    return part.decoded === undefined ? loadMedia(part, this.#load, options.signal) : this.#received(part.decoded, options);
  }

  /** Names a medium by its content, as 1.6.1 does: equal pixels have equal hashes, however they were sent. */
  hash(media: Media): bigint {
    return contentHash(media);
  }

  /** Lets other workers read the memory, as often as they like, until the result is disposed. Leave it unchanged until then. */
  async share(buffer: ArrayBufferView): Promise<Shared> {
    const operation = await this.#connector.createReadable(new Descriptor(buffer));
    return {
      descriptor: encodeRdmaMetadata(operation.metadata),
      read: operation.wait(),
      [Symbol.asyncDispose]: () => Promise.resolve(operation[Symbol.dispose]()),
    };
  }

  /**
   * Reads what another worker shares, into given memory or into new.
   *
   * @throws DynamoError `invalid_argument` for a descriptor that is none or memory of another size, `payload_too_large` beyond
   * `maxBytes`, `not_found` when it is shared no more, `cannot_connect` and `disconnected` when the owner is gone,
   * `not_implemented` for memory of a native NIXL agent.
   */
  async read(descriptor: string, options: { into?: ArrayBufferView; signal?: AbortSignal } = {}): Promise<Uint8Array> {
    options.signal?.throwIfAborted();
    const metadata = decodeRdmaMetadata(descriptor);
    const local = options.into === undefined ? this.#room(metadata) : new Descriptor(options.into);
    using operation = this.#connector.beginRead(metadata, local);
    await operation.wait(options);
    return local.bytes as Uint8Array;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#connector[Symbol.asyncDispose]();
  }

  async #received(value: unknown, options: { signal?: AbortSignal }): Promise<Media> {
    const { descriptor, media } = decodeDecoded(value);
    return { ...media, bytes: await this.read(descriptor, options) };
  }

  #room(metadata: RdmaMetadata): Descriptor {
    const size = metadata.descriptors[0]?.size ?? 0;
    if (size <= this.#maxBytes) return new Descriptor(new Uint8Array(size));
    throw new DynamoError('payload_too_large', `${size} bytes are shared, the limit is ${this.#maxBytes}`, {
      data: { field: 'size', value: size, limit: this.#maxBytes },
    });
  }
}
