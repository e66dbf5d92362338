import { grownCounts, grownFloats } from './columns.ts';
import { type DepthMatcher, maxRanks, type SequenceHashes, SequenceTable } from './sequence-table.ts';

/** What one request holds: its prompt blocks, by their places in the table, and its output blocks by their weights. */
export interface HeldBlocks {
  readonly entries: Uint32Array;
  /** Output blocks that have been decayed, all to the same weight. */
  light: number;
  weight: number;
  /** Later ones, which weigh 1. */
  whole: number;
}

/**
 * The active blocks of every rank: distinct live prompt blocks plus output blocks, each with its weight (spec kv-router 7).
 *
 * Sums run on as in 1.6.1, a run of blocks of one weight at a time: halves are rounded, so that the last bit of a sum can
 * make a block more or less. They return to exactly 0 with the last block.
 */
export class BlockTracker {
  readonly #table: DepthMatcher;
  #live: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #prompt: Float64Array<ArrayBuffer> = new Float64Array(0);
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
    this.#live = grownCounts(this.#live, count);
    this.#prompt = grownFloats(this.#prompt, count);
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
    this.#addPrompt(rank, fresh, fresh);
    this.#sum(rank);
    return { entries, light: 0, weight: 1, whole: 0 };
  }

  /** Gives back what a request holds; blocks that others of the rank hold stay, with the weight that they have. */
  release(held: HeldBlocks, rank: number): void {
    const weights = this.#weights.size > 0 ? this.#weights : undefined;
    let dead = 0;
    let weight = 1;
    this.#table.release(held.entries, rank, (entry) => {
      const own = weights?.get(entry * maxRanks + rank) ?? 1;
      if (own !== 1) weights?.delete(entry * maxRanks + rank);
      if (own !== weight) {
        this.#addPrompt(rank, -dead, -dead * weight);
        dead = 0;
        weight = own;
      }
      dead++;
    });
    this.#addPrompt(rank, -dead, -dead * weight);
    this.#addOutputs(rank, { count: held.light, step: -1, weight: -held.weight });
    this.#addOutputs(rank, { count: held.whole, step: -1, weight: -1 });
    this.#sum(rank);
  }

  /**
   * Adds an output block. With a decay, all outputs of the request and every prompt block that no other request of the
   * rank holds get that weight.
   */
  addOutput(held: HeldBlocks, rank: number, decay?: number): void {
    held.whole++;
    this.#addOutputs(rank, { count: 1, step: 1, weight: 1 });
    if (decay !== undefined) {
      this.#addOutputs(rank, { count: held.light, step: 0, weight: decay - held.weight });
      this.#addOutputs(rank, { count: held.whole, step: 0, weight: decay - 1 });
      held.light += held.whole;
      held.weight = decay;
      held.whole = 0;
      this.#decay(held.entries, rank, decay);
    }
    this.#sum(rank);
  }

  /** Leading blocks of a sequence that all live on the rank, by rank. */
  match(sequence: SequenceHashes, count: number, depths: Uint32Array): void {
    this.#table.match(sequence, count, depths);
  }

  #decay(entries: Uint32Array, rank: number, decay: number): void {
    let run = 0;
    let weight = 1;
    for (const entry of entries) {
      if (this.#table.holders(entry, rank) !== 1) continue;
      const key = entry * maxRanks + rank;
      const own = this.#weights.get(key) ?? 1;
      if (decay === 1) this.#weights.delete(key);
      else this.#weights.set(key, decay);
      if (own !== weight) {
        this.#addPrompt(rank, 0, run * (decay - weight));
        run = 0;
        weight = own;
      }
      run++;
    }
    this.#addPrompt(rank, 0, run * (decay - weight));
  }

  #addPrompt(rank: number, count: number, weight: number): void {
    const left = (this.#live[rank] = (this.#live[rank] ?? 0) + count);
    this.#prompt[rank] = left === 0 ? 0 : (this.#prompt[rank] ?? 0) + weight;
  }

  /** Adds `weight` to the sum as often as there are outputs: the last bit depends on it. */
  #addOutputs(rank: number, outputs: { count: number; step: 0 | 1 | -1; weight: number }): void {
    const left = (this.#outputs[rank] = (this.#outputs[rank] ?? 0) + outputs.count * outputs.step);
    let sum = this.#outputWeight[rank] ?? 0;
    for (let output = 0; output < outputs.count; output++) sum += outputs.weight;
    this.#outputWeight[rank] = left === 0 ? 0 : sum;
  }

  #sum(rank: number): void {
    this.#blocks[rank] = Math.round((this.#prompt[rank] ?? 0) + (this.#outputWeight[rank] ?? 0));
  }
}
