import { totalmem } from 'node:os';
import { DynamoError } from '@dynamo/runtime';
import { type Layout, offsetOf } from './layout.ts';
import { copyPieces, type TierStorage } from './tier-storage.ts';

/** Largest single buffer for whole blocks: more memory is several of them (spec block-manager 7 allows 2 GiB). */
const chunkBytes = 2 ** 30;

/** Blocks in memory that worker threads can read as well. */
export class HostMemory implements TierStorage {
  readonly layout: Layout;
  readonly #blocksPerChunk: number;
  #buffers: readonly SharedArrayBuffer[];

  /** @throws DynamoError `resource_exhausted` where there is not so much memory. */
  constructor(layout: Layout) {
    this.layout = layout;
    this.#blocksPerChunk = layout.kind === 'contiguous' ? Math.max(1, Math.floor(chunkBytes / layout.blockStride)) : layout.blocks;
    this.#buffers = this.#allocate();
  }

  pieces(slot: number): readonly Uint8Array[] {
    const { layout } = this;
    if (layout.kind === 'contiguous') {
      const chunk = Math.floor(slot / this.#blocksPerChunk);
      return [this.#piece(chunk, offsetOf(layout, slot % this.#blocksPerChunk, 0, 0), layout.blockBytes)];
    }
    const apart = layout.kind === 'layers_outer_contiguous';
    const parts = apart ? layout.outerDim : 1;
    const bytes = layout.blockBytes / layout.layers / parts;
    return Array.from({ length: layout.layers * parts }, (_, at) =>
      this.#piece(Math.floor(at / parts), offsetOf(layout, slot, 0, at % parts), bytes),
    );
  }

  read(slot: number, into: readonly Uint8Array[]): Promise<void> {
    copyPieces(this.pieces(slot), into);
    return Promise.resolve();
  }

  write(slot: number, from: readonly Uint8Array[]): Promise<void> {
    copyPieces(from, this.pieces(slot));
    return Promise.resolve();
  }

  /** Lets go of the memory; views of it that others hold keep their part. */
  [Symbol.asyncDispose](): Promise<void> {
    this.#buffers = [];
    return Promise.resolve();
  }

  #piece(buffer: number, offset: number, bytes: number): Uint8Array {
    const memory = this.#buffers[buffer];
    if (memory === undefined) throw new DynamoError('unavailable', 'the block manager is closed');
    return new Uint8Array(memory, offset, bytes);
  }

  #allocate(): SharedArrayBuffer[] {
    const { layout } = this;
    const bytes = layout.kind === 'contiguous' ? layout.dataBytes : layout.dataBytes * layout.layers;
    const most = memoryBytes();
    // Systems promise memory that they don't have, and end the process when it is used.
    if (bytes > most)
      throw new DynamoError('resource_exhausted', `no memory for ${layout.blocks} blocks of ${layout.blockBytes} bytes: there are ${most} bytes`, {
        data: { bytes, most },
      });
    try {
      if (layout.kind !== 'contiguous') return Array.from({ length: layout.layers }, () => new SharedArrayBuffer(layout.dataBytes));
      const chunks = Math.ceil(layout.blocks / this.#blocksPerChunk);
      return Array.from({ length: chunks }, (_, chunk) => {
        const blocks = Math.min(this.#blocksPerChunk, layout.blocks - chunk * this.#blocksPerChunk);
        return new SharedArrayBuffer(blocks * layout.blockStride);
      });
    } catch (cause) {
      throw new DynamoError('resource_exhausted', `no memory for ${layout.blocks} blocks of ${layout.blockBytes} bytes`, { cause });
    }
  }
}

/** What this process may use at most. */
function memoryBytes(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 ? Math.min(totalmem(), constrained) : totalmem();
}
