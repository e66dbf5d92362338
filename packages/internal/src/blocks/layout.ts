import { DynamoError } from '@dynamo/runtime';

/** What one number of a block's content is (spec block-manager 2). */
export type BlockDataType = 'fp8' | 'fp16' | 'bf16' | 'fp32' | 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64';

/** The shape of one block, the same in every tier. */
export interface BlockShape {
  layers: number;
  /** Tokens of one block. */
  pageSize: number;
  innerDim: number;
  /** 2 where keys and values lie apart; default 1. */
  outerDim?: number;
  /** Default `fp16`. */
  dataType?: BlockDataType;
  /** Every block starts at a multiple of it: a power of two; default 1. */
  alignment?: number;
}

/** How blocks lie in host memory: each in one piece, or layer by layer, whose halves lie apart or together (spec block-manager 5). */
export type HostLayout = 'contiguous' | 'layers_outer_contiguous' | 'layers_block_contiguous';

/** Where the parts of blocks are: bytes within one allocation, or within that of a layer. */
export interface Layout {
  readonly kind: HostLayout;
  readonly blocks: number;
  readonly layers: number;
  readonly outerDim: number;
  readonly pageSize: number;
  readonly innerDim: number;
  readonly dataType: BlockDataType;
  readonly width: number;
  readonly regionBytes: number;
  /** Bytes of one block's content, without padding. */
  readonly blockBytes: number;
  readonly blockStride: number;
  readonly layerStride: number;
  readonly outerStride: number;
  /** Bytes of all blocks, of each layer where layers lie apart. */
  readonly dataBytes: number;
  /** What has to be allocated so that the first block can be aligned. */
  readonly allocationBytes: number;
}

const widths: Readonly<Record<BlockDataType, number>> = {
  fp8: 1,
  fp16: 2,
  bf16: 2,
  fp32: 4,
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
};

/** Slots are 32-bit numbers. */
const mostBlocks = 2 ** 31 - 1;

/** The next multiple. */
export const alignUp = (bytes: number, alignment: number): number => Math.ceil(bytes / alignment) * alignment;

/**
 * Computes where blocks lie (spec block-manager 5).
 *
 * @throws DynamoError `invalid_argument` for a count below 1, an unknown type, or an alignment that is no power of two.
 */
export function layoutOf(shape: BlockShape, blocks: number, kind: HostLayout = 'contiguous'): Layout {
  const { layers, pageSize, innerDim, outerDim = 1, dataType = 'fp16', alignment = 1 } = shape;
  checkCounts({ blocks, layers, pageSize, innerDim, outerDim, alignment });
  if (blocks > mostBlocks) throw new DynamoError('invalid_argument', `blocks must be at most ${mostBlocks}, got ${blocks}`, { data: { blocks } });
  const width = Object.hasOwn(widths, dataType) ? widths[dataType] : undefined;
  if (width === undefined)
    throw new DynamoError('invalid_argument', `unknown data type '${String(dataType)}'`, { data: { known: Object.keys(widths) } });
  if (!Number.isInteger(Math.log2(alignment)))
    throw new DynamoError('invalid_argument', `alignment must be a power of two, got ${alignment}`, { data: { alignment } });
  const regionBytes = pageSize * innerDim * width;
  const blockBytes = regionBytes * outerDim * layers;
  const common = { kind, blocks, layers, outerDim, pageSize, innerDim, dataType, width, regionBytes, blockBytes };
  if (kind === 'contiguous') {
    const layerStride = regionBytes * outerDim;
    const blockStride = alignUp(layerStride * layers, alignment);
    const dataBytes = blockStride * blocks;
    return { ...common, blockStride, layerStride, outerStride: regionBytes, dataBytes, allocationBytes: dataBytes + alignment - 1 };
  }
  const apart = kind === 'layers_outer_contiguous';
  const blockStride = alignUp(apart ? regionBytes : regionBytes * outerDim, alignment);
  const dataBytes = blockStride * blocks * (apart ? outerDim : 1);
  const outerStride = apart ? blockStride * blocks : regionBytes;
  return { ...common, blockStride, layerStride: 0, outerStride, dataBytes, allocationBytes: dataBytes + alignment - 1 };
}

/** Where one region starts, within the allocation, or within its layer's where layers lie apart. */
export const offsetOf = (layout: Layout, block: number, layer: number, outer: number): number =>
  block * layout.blockStride + layer * layout.layerStride + outer * layout.outerStride;

function checkCounts(counts: Readonly<Record<string, number>>): void {
  for (const [name, value] of Object.entries(counts))
    if (!Number.isSafeInteger(value) || value < 1)
      throw new DynamoError('invalid_argument', `${name} must be a count above 0, got ${String(value)}`, { data: { [name]: value } });
}
