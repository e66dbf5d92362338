import { DynamoError } from '@dynamo/runtime';
import { type Core, outcomeTexts } from './core.ts';

const tableFull = 0xffff_ffff;

/**
 * Which ranks work on which blocks right now: sequence hash -> ranks, and how many requests of each (spec kv-router 7).
 *
 * It lies in the memory of a core and uses its rank numbers: bind them there first. One core has one such table.
 */
export class SequenceTable {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Distinct hashes in work. */
  get size(): number {
    return this.#core.wasm.sequenceCount();
  }

  /** One more request of a rank holds these blocks; returns how many of them no request of that rank held before. */
  add(hashes: BigUint64Array, rank: number): number {
    this.#core.writeHashes(hashes);
    const fresh = this.#core.wasm.addInput(rank, hashes.length) >>> 0;
    if (fresh === tableFull) throw new DynamoError('resource_exhausted', outcomeTexts[4] ?? '');
    return fresh;
  }

  /** A request of a rank lets go of these blocks; returns how many of them no request of that rank holds any more. */
  remove(hashes: BigUint64Array, rank: number): number {
    this.#core.writeHashes(hashes);
    return this.#core.wasm.removeSequenceInput(rank, hashes.length);
  }

  /** How many requests of a rank hold each block. A view: valid until the core's next call. */
  holders(hashes: BigUint64Array, rank: number): Uint32Array {
    this.#core.writeHashes(hashes);
    return this.#view(this.#core.wasm.holdersInput(rank, hashes.length), hashes.length);
  }

  /** For each rank, how many leading blocks are all in work there. A view: valid until the core's next call. */
  depths(hashes: BigUint64Array): Uint32Array {
    const at = this.#core.writeHashes(hashes);
    return this.#view(this.#core.wasm.depthsAt(at, hashes.length), this.#core.wasm.rankCount());
  }

  #view(at: number, length: number): Uint32Array {
    const first = this.#core.address(at) / 4;
    return this.#core.words.subarray(first, first + length);
  }
}
