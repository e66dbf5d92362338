import { DynamoError } from '@dynamo/runtime';
import { Device } from './device.ts';

/** Memory of this process, or memory that only a native transfer can reach, given by its address. */
export type DescriptorSource =
  | ArrayBufferView
  | ArrayBufferLike
  | {
      readonly ptr: bigint;
      readonly size: number;
      readonly device: string | Device;
      /** Held as long as the descriptor. */ readonly keepAlive?: unknown;
    };

/** One piece of memory that takes part in transfers (spec nixl-connect 2). */
export class Descriptor {
  readonly size: number;
  readonly device: Device;
  /** The bytes, where this process can touch them. */
  readonly bytes: Uint8Array | undefined;
  /** Address, where one was given. Memory of this process is named by its region once a connector has registered it. */
  readonly ptr: bigint | undefined;
  readonly keepAlive: unknown;
  #holder: object | undefined;

  /** @throws DynamoError `invalid_argument` for what is no memory, for a null pointer and for a size that is no count of bytes. */
  constructor(source: DescriptorSource) {
    const bytes = bytesOf(source);
    if (bytes !== undefined) {
      this.bytes = bytes;
      this.size = bytes.byteLength;
      this.device = new Device('cpu');
      return;
    }
    if (typeof source !== 'object' || source === null || !('ptr' in source))
      throw wrong('data', 'Argument `data` must be memory or `{ ptr, size, device }`.');
    if (typeof source.ptr !== 'bigint' || source.ptr <= 0n || source.ptr >> 64n !== 0n)
      throw wrong('ptr', 'Argument `ptr` must be a bigint from 1 to 2^64 - 1.');
    if (!Number.isSafeInteger(source.size) || source.size < 0)
      throw wrong('size', 'Argument `size` must be an integer greater than or equal to zero.');
    this.ptr = source.ptr;
    this.size = source.size;
    this.device = typeof source.device === 'string' ? new Device(source.device) : source.device;
    this.keepAlive = source.keepAlive;
  }

  /**
   * Ties the descriptor to one connector for good; doing it again for the same one changes nothing.
   *
   * @throws DynamoError `invalid_argument` when another connector holds it.
   */
  holdFor(holder: object): void {
    this.#holder ??= holder;
    if (this.#holder !== holder) {
      throw wrong('descriptor', 'Descriptor cannot be registered with more than one connection: make one descriptor for each connector.');
    }
  }

  toString(): string {
    return `ptr=${this.ptr === undefined ? 'unregistered' : `0x${this.ptr.toString(16)}`}, size=${this.size}, device=${this.device}`;
  }
}

function bytesOf(source: unknown): Uint8Array | undefined {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (source instanceof ArrayBuffer || source instanceof SharedArrayBuffer) return new Uint8Array(source);
  return undefined;
}

const wrong = (field: string, message: string): DynamoError => new DynamoError('invalid_argument', message, { data: { field } });
