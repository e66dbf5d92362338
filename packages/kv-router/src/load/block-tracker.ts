import { grownCounts, grownFloats } from './columns.ts';
import { type DepthMatcher, maxRanks, type SequenceHashes, SequenceTable } from './sequence-table.ts';

/** What one request holds: its prompt blocks, by their places in the table, and the weight of what it has put out. */
export interface HeldBlocks {
  readonly entries: Uint32Array;
  outputs: number;
  outputWeight: number;
}

/**
 * The active blocks of every rank: distinct live prompt blocks plus output blocks, each with its weight (spec kv-router 7).
 *
 * Sums of weights below one are kept apart from the counts and return to exactly 0 with the last of them.
 */
export class BlockTracker {
  readonly #table: DepthMatcher;
  #whole: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #decayed: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #decayedWeight: Float64Array<ArrayBuffer> = new Float64Array(0);
  #outputs: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #outputWeight: Float64Array<ArrayBuffer> = new Float64Array(0);
  #blocks: Float64Array<ArrayBuffer> = new Float64Array(0);
  /** Weights other than 1, by entry and rank; a block keeps its weight until it dies. */
  readonly #weights = new Map<number, number>();

  constructor(table: DepthMatcher = new SequenceTable()) {
    this.#table = table;
  }

  /** Active blocks by rank, rounded as the real router does. A new array may take its place when ranks are added. */
  get blocks(): Float64Array {
    return this.#blocks;
  }

  /** Blocks of which somebody holds at least one copy. */
  get distinct(): number {
    return this.#table.size;
  }

  /** Makes room for the ranks below `count`. */
  reach(count: number): void {
    if (count <= this.#blocks.length) return;
    this.#whole = grownCounts(this.#whole, count);
    this.#decayed = grownCounts(this.#decayed, count);
    this.#decayedWeight = grownFloats(this.#decayedWeight, count);
    this.#outputs = grownCounts(this.#outputs, count);
    this.#outputWeight = grownFloats(this.#outputWeight, count);
    this.#blocks = grownFloats(this.#blocks, count);
  }

  /** Books the complete blocks of a prompt on a rank. */
  hold(sequence: SequenceHashes, rank: number): HeldBlocks {
    this.reach(rank + 1);
    let fresh = 0;
    const entries = this.#table.hold(sequence, rank, (_entry, isFresh) => {
      if (isFresh) fresh++;
    });
    this.#whole[rank] = (this.#whole[rank] ?? 0) + fresh;
    this.#sum(rank);
    return { entries, outputs: 0, outputWeight: 0 };
  }

  /** Gives back what a request holds; blocks that others of the rank hold stay, with the weight that they have. */
  release(held: HeldBlocks, rank: number): void {
    this.#table.release(held.entries, rank, (entry) => {
      const key = entry * maxRanks + rank;
      const weight = this.#weights.get(key);
      if (weight === undefined) {
        this.#whole[rank] = (this.#whole[rank] ?? 0) - 1;
        return;
      }
      this.#weights.delete(key);
      this.#addDecayed(rank, -1, -weight);
    });
    this.#addOutputs(rank, -held.outputs, -held.outputWeight);
    this.#sum(rank);
  }

  /**
   * Adds an output block. With a decay, all outputs of the request and every prompt block that no other request of the
   * rank holds get that weight.
   */
  addOutput(held: HeldBlocks, rank: number, decay?: number): void {
    const before = held.outputWeight;
    held.outputs++;
    held.outputWeight = decay === undefined ? before + 1 : held.outputs * decay;
    this.#addOutputs(rank, 1, held.outputWeight - before);
    if (decay !== undefined) for (const entry of held.entries) if (this.#table.holders(entry, rank) === 1) this.#weigh(entry, rank, decay);
    this.#sum(rank);
  }

  /** Leading blocks of a sequence that all live on the rank, by rank. */
  match(sequence: SequenceHashes, count: number, depths: Uint32Array): void {
    this.#table.match(sequence, count, depths);
  }

  #weigh(entry: number, rank: number, weight: number): void {
    const key = entry * maxRanks + rank;
    const before = this.#weights.get(key);
    if (before === undefined) this.#whole[rank] = (this.#whole[rank] ?? 0) - 1;
    this.#weights.set(key, weight);
    this.#addDecayed(rank, before === undefined ? 1 : 0, weight - (before ?? 0));
  }

  #addDecayed(rank: number, count: number, weight: number): void {
    const left = (this.#decayed[rank] = (this.#decayed[rank] ?? 0) + count);
    this.#decayedWeight[rank] = left === 0 ? 0 : (this.#decayedWeight[rank] ?? 0) + weight;
  }

  #addOutputs(rank: number, count: number, weight: number): void {
    const left = (this.#outputs[rank] = (this.#outputs[rank] ?? 0) + count);
    this.#outputWeight[rank] = left === 0 ? 0 : (this.#outputWeight[rank] ?? 0) + weight;
  }

  #sum(rank: number): void {
    this.#blocks[rank] = Math.round((this.#whole[rank] ?? 0) + (this.#decayedWeight[rank] ?? 0) + (this.#outputWeight[rank] ?? 0));
  }
}
