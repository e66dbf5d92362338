import type { TierStorage } from './tier-storage.ts';

/**
 * Memory of a device that a native module can reach: JavaScript itself can't (spec block-manager 7).
 *
 * Its blocks are slots, numbered from 0; bytes come and go in pieces of host memory, in the order of layers.
 */
export interface DeviceTier extends AsyncDisposable {
  /** What it is, for logs: never the name of hardware that it isn't. */
  readonly name: string;
  /** Takes room for all blocks; called once, before any copy. */
  allocate(blocks: number, blockBytes: number): Promise<void>;
  copyToHost(slot: number, into: readonly Uint8Array[]): Promise<void>;
  copyFromHost(slot: number, from: readonly Uint8Array[]): Promise<void>;
}

/** A device's memory as a tier. */
export const deviceStorage = (device: DeviceTier): TierStorage => ({
  read: (slot, into) => device.copyToHost(slot, into),
  write: (slot, from) => device.copyFromHost(slot, from),
  [Symbol.asyncDispose]: () => device[Symbol.asyncDispose](),
});
