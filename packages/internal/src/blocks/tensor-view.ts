import { DynamoError } from '@dynamo/runtime';
import type { BlockDataType, Layout } from './layout.ts';

/** Numbers of a block or layer, without a copy. */
export type BlockData =
  | Uint8Array
  | Int8Array
  | Uint16Array
  | Int16Array
  | Uint32Array
  | Int32Array
  | BigUint64Array
  | BigInt64Array
  | Float16Array
  | Float32Array;

/** A tensor in host memory, as other libraries want it described; strides count numbers, not bytes. */
export interface TensorView {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  readonly byteOffset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly dtype: BlockDataType;
  /** Where the memory is; `code` is DLPack's number for it. */
  readonly device: { readonly type: 'cpu'; readonly code: 1; readonly id: 0 };
}

type Typed = new (buffer: ArrayBufferLike, byteOffset: number, length: number) => BlockData;

// JavaScript has no numbers of 8 bits with an exponent, nor bfloat16: their bits are shown.
const arrays: Readonly<Record<BlockDataType, Typed>> = {
  fp8: Uint8Array,
  fp16: Float16Array,
  bf16: Uint16Array,
  fp32: Float32Array,
  u8: Uint8Array,
  i8: Int8Array,
  u16: Uint16Array,
  i16: Int16Array,
  u32: Uint32Array,
  i32: Int32Array,
  u64: BigUint64Array,
  i64: BigInt64Array,
};

/** The numbers in a piece of memory. */
export const numbersIn = ({ dataType, width }: Layout, bytes: Uint8Array): BlockData =>
  new arrays[dataType](bytes.buffer, bytes.byteOffset, bytes.byteLength / width);

/** The arguments of Python's `__dlpack__` that are refused there too (spec block-manager 2). */
export interface TensorViewOptions {
  stream?: unknown;
  max_version?: unknown;
  dl_device?: unknown;
  copy?: unknown;
}

/** Describes whole layers from the one that starts at `bytes`. */
export function tensorView(layout: Layout, bytes: Uint8Array, layers: number, options: TensorViewOptions): TensorView {
  for (const [name, value] of Object.entries(options))
    if (value !== undefined && value !== null)
      throw new DynamoError('invalid_argument', `${name} argument is not supported`, { data: { [name]: value } });
  const { width, outerDim, pageSize, innerDim } = layout;
  return {
    buffer: bytes.buffer,
    byteOffset: bytes.byteOffset,
    shape: [1, layers, outerDim, pageSize, innerDim],
    strides: [layout.blockStride, layout.layerStride, layout.outerStride, innerDim * width, width].map((stride) => stride / width),
    dtype: layout.dataType,
    device: { type: 'cpu', code: 1, id: 0 },
  };
}
