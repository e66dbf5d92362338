import type { MockSequence } from './sequence.ts';

/** Names the blocks that a request completes with tokens of its own. */
export interface BlockNames {
  /** Gives the next unnamed block its name, by `sequence.nameNext`. */
  name(sequence: MockSequence): void;
}

/**
 * Names of blocks in a simulation: no other request can have the same content, so they must only differ.
 *
 * Two rounds of multiply and shift over the request's serial number and the block's index.
 */
export const simulatedNames: BlockNames = {
  name(sequence) {
    const low = scramble(sequence.serial, sequence.named);
    const high = scramble(sequence.named ^ 0x5bd1_e995, sequence.serial);
    sequence.nameNext(low, high, high, low);
  },
};

function scramble(a: number, b: number): number {
  let mixed = Math.imul(a ^ 0x9e37_79b9, 0x85eb_ca6b) ^ Math.imul(b + 0x165_667b1, 0xc2b2_ae35);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x27d4_eb2f);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0x9e37_79b1);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
