import { randomBytes } from 'node:crypto';
import { DynamoError } from '@dynamo/runtime';
import type { Region, RemoteRegion } from './transfer.ts';

/** The memory that an agent lets its peers touch, by pointers that can't be guessed. */
export class Regions {
  readonly #held = new Map<bigint, { readonly bytes: Uint8Array; readonly access: 'read' | 'write' }>();

  add(bytes: Uint8Array, access: 'read' | 'write'): Region {
    let ptr = 0n;
    while (ptr === 0n || this.#held.has(ptr)) ptr = randomBytes(8).readBigUInt64LE();
    this.#held.set(ptr, { bytes, access });
    return { ptr, [Symbol.dispose]: () => void this.#held.delete(ptr) };
  }

  /**
   * The bytes that a peer asks for.
   *
   * @throws DynamoError `not_found` for a pointer that isn't ours, `permission_denied` for the other direction, `invalid_argument` beyond the end.
   */
  reach(asked: RemoteRegion, access: 'read' | 'write'): Uint8Array {
    const held = this.#held.get(asked.ptr);
    if (held === undefined) throw new DynamoError('not_found', `no memory is shared here at 0x${asked.ptr.toString(16)}`, { data: { field: 'ptr' } });
    if (held.access !== access)
      throw new DynamoError('permission_denied', `the memory may only be ${held.access === 'read' ? 'read' : 'written'}`, { data: { field: 'op' } });
    if (asked.size > held.bytes.byteLength) {
      throw new DynamoError('invalid_argument', `${asked.size} bytes were asked for, ${held.bytes.byteLength} are shared`, {
        data: { field: 'size', value: asked.size, limit: held.bytes.byteLength },
      });
    }
    return held.bytes.subarray(0, asked.size);
  }
}
