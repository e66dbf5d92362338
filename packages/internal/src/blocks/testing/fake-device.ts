import type { DeviceTier } from '../device-tier.ts';
import { copyPieces } from '../tier-storage.ts';

/** Plain memory in the place of a device, for tests: it is no CUDA device and says so. */
export class FakeDevice implements DeviceTier {
  readonly name = 'fake-device';
  blockBytes = 0;
  disposed = false;
  /** Runs before each copy, so that a test can hold or fail it. */
  before: (verb: 'copyToHost' | 'copyFromHost', slot: number) => Promise<void> = () => Promise.resolve();
  #memory = new Uint8Array(0);

  allocate(blocks: number, blockBytes: number): Promise<void> {
    this.blockBytes = blockBytes;
    this.#memory = new Uint8Array(blocks * blockBytes);
    return Promise.resolve();
  }

  /** A block's bytes. */
  bytes(slot: number): Uint8Array {
    return this.#memory.subarray(slot * this.blockBytes, (slot + 1) * this.blockBytes);
  }

  async copyToHost(slot: number, into: readonly Uint8Array[]): Promise<void> {
    await this.before('copyToHost', slot);
    copyPieces([this.bytes(slot)], into);
  }

  async copyFromHost(slot: number, from: readonly Uint8Array[]): Promise<void> {
    await this.before('copyFromHost', slot);
    copyPieces(from, [this.bytes(slot)]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.disposed = true;
    return Promise.resolve();
  }
}
