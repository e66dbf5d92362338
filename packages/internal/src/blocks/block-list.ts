import { DynamoError } from '@dynamo/runtime';
import type { Block } from './block.ts';

/** Some blocks of one tier; disposing gives back those that are still held. */
export class BlockList implements Disposable {
  readonly #blocks: readonly Block[];

  constructor(blocks: readonly Block[]) {
    this.#blocks = blocks;
  }

  get length(): number {
    return this.#blocks.length;
  }

  /** Like an array's: negative counts from the end. @throws DynamoError `invalid_argument` for a block that isn't there. */
  at(index: number): Block {
    const block = this.#blocks.at(index);
    if (block === undefined) throw new DynamoError('invalid_argument', `there is no block ${index}: the list has ${this.length}`);
    return block;
  }

  toList(): Block[] {
    return [...this.#blocks];
  }

  [Symbol.iterator](): Iterator<Block> {
    return this.#blocks[Symbol.iterator]();
  }

  /** Gives the blocks back in reverse order, so that the end of a sequence goes before its start. */
  [Symbol.dispose](): void {
    for (const block of this.#blocks.toReversed()) block[Symbol.dispose]();
  }
}
