/** Names of the typed lists in which the protocol carries values. */
export type ContentsName = 'bool' | 'int' | 'int64' | 'uint' | 'uint64' | 'fp32' | 'fp64' | 'bytes';

/** A request to a model of tensors, and an answer of it: KServe's, with plain values. */
export interface Tensors {
  /** As the client gave it; answers may leave it out, and the model too. */
  readonly id?: string;
  readonly model?: string;
  readonly tensors: readonly {
    readonly name: string;
    /** As KServe spells it. */
    readonly datatype:
      | 'BOOL'
      | 'UINT8'
      | 'UINT16'
      | 'UINT32'
      | 'UINT64'
      | 'INT8'
      | 'INT16'
      | 'INT32'
      | 'INT64'
      | 'FP16'
      | 'BF16'
      | 'FP32'
      | 'FP64'
      | 'BYTES';
    readonly shape: readonly number[];
    /** Row by row. 64-bit integers come as bigint; FP16 and BF16 are their bits, as whole numbers. */
    readonly values: ArrayLike<number> | ArrayLike<bigint> | readonly boolean[] | readonly Uint8Array[];
    readonly parameters?: Readonly<Record<string, string | boolean | number | bigint>>;
  }[];
  /** Integers are bigint, and numbers doubles. */
  readonly parameters?: Readonly<Record<string, string | boolean | number | bigint>>;
}

/** Element types of tensors, as KServe spells them. */
export type Datatype = Tensors['tensors'][number]['datatype'];

/** One element type of tensors: its names, and how its values stand in raw bytes. */
export interface TensorType {
  /** As KServe spells it. */
  readonly datatype: Datatype;
  /** As workers' requests and cards spell it (spec llm 7). */
  readonly wire: string;
  /** Its number among `DataType` of a model's configuration. */
  readonly config: number;
  readonly contents: ContentsName;
  /** Bytes of a value; 0 where each brings its own length. */
  readonly size: number;
  readonly read: (view: DataView, at: number) => unknown;
  readonly write: (view: DataView, at: number, value: never) => void;
  /** Sixteen bits that no typed list has room for: such tensors are raw, and workers get their bits as whole numbers. */
  readonly half?: boolean;
  /** Smallest and largest whole number; absent where any value will do. */
  readonly range?: readonly [bigint, bigint];
}

const range = (bits: bigint, signed: boolean): readonly [bigint, bigint] =>
  signed ? [-(1n << (bits - 1n)), (1n << (bits - 1n)) - 1n] : [0n, (1n << bits) - 1n];

const half = (datatype: Datatype, wire: string, config: number): TensorType => ({
  datatype,
  wire,
  config,
  contents: 'uint',
  size: 2,
  half: true,
  range: range(16n, false),
  read: (view, at) => view.getUint16(at, true),
  write: (view, at, value: number | bigint) => view.setUint16(at, Number(value), true),
});

const types: readonly TensorType[] = [
  {
    datatype: 'BOOL',
    wire: 'Bool',
    config: 1,
    contents: 'bool',
    size: 1,
    read: (view, at) => view.getUint8(at) !== 0,
    write: (view, at, value: boolean) => view.setUint8(at, Number(value)),
  },
  {
    datatype: 'UINT8',
    wire: 'Uint8',
    config: 2,
    contents: 'uint',
    size: 1,
    range: range(8n, false),
    read: (view, at) => view.getUint8(at),
    write: (view, at, value: number | bigint) => view.setUint8(at, Number(value)),
  },
  {
    datatype: 'UINT16',
    wire: 'Uint16',
    config: 3,
    contents: 'uint',
    size: 2,
    range: range(16n, false),
    read: (view, at) => view.getUint16(at, true),
    write: (view, at, value: number | bigint) => view.setUint16(at, Number(value), true),
  },
  {
    datatype: 'UINT32',
    wire: 'Uint32',
    config: 4,
    contents: 'uint',
    size: 4,
    range: range(32n, false),
    read: (view, at) => view.getUint32(at, true),
    write: (view, at, value: number | bigint) => view.setUint32(at, Number(value), true),
  },
  {
    datatype: 'UINT64',
    wire: 'Uint64',
    config: 5,
    contents: 'uint64',
    size: 8,
    range: range(64n, false),
    read: (view, at) => view.getBigUint64(at, true),
    write: (view, at, value: number | bigint) => view.setBigUint64(at, BigInt(value), true),
  },
  {
    datatype: 'INT8',
    wire: 'Int8',
    config: 6,
    contents: 'int',
    size: 1,
    range: range(8n, true),
    read: (view, at) => view.getInt8(at),
    write: (view, at, value: number | bigint) => view.setInt8(at, Number(value)),
  },
  {
    datatype: 'INT16',
    wire: 'Int16',
    config: 7,
    contents: 'int',
    size: 2,
    range: range(16n, true),
    read: (view, at) => view.getInt16(at, true),
    write: (view, at, value: number | bigint) => view.setInt16(at, Number(value), true),
  },
  {
    datatype: 'INT32',
    wire: 'Int32',
    config: 8,
    contents: 'int',
    size: 4,
    range: range(32n, true),
    read: (view, at) => view.getInt32(at, true),
    write: (view, at, value: number | bigint) => view.setInt32(at, Number(value), true),
  },
  {
    datatype: 'INT64',
    wire: 'Int64',
    config: 9,
    contents: 'int64',
    size: 8,
    range: range(64n, true),
    read: (view, at) => view.getBigInt64(at, true),
    write: (view, at, value: number | bigint) => view.setBigInt64(at, BigInt(value), true),
  },
  {
    datatype: 'FP32',
    wire: 'Float32',
    config: 11,
    contents: 'fp32',
    size: 4,
    read: (view, at) => view.getFloat32(at, true),
    write: (view, at, value: number | bigint) => view.setFloat32(at, Number(value), true),
  },
  {
    datatype: 'FP64',
    wire: 'Float64',
    config: 12,
    contents: 'fp64',
    size: 8,
    read: (view, at) => view.getFloat64(at, true),
    write: (view, at, value: number | bigint) => view.setFloat64(at, Number(value), true),
  },
  half('FP16', 'Float16', 10),
  half('BF16', 'BFloat16', 14),
  // Every value has a length before it, of 32 bits.
  { datatype: 'BYTES', wire: 'Bytes', config: 13, contents: 'bytes', size: 0, read: () => undefined, write: () => undefined },
];

const byDatatype: ReadonlyMap<string, TensorType> = new Map(types.map((type) => [type.datatype, type]));
const byWire = new Map(types.map((type) => [type.wire, type]));
const byConfig = new Map(types.map((type) => [type.config, type]));

/** The type that a request names. */
export const typeOfRequest = (datatype: string): TensorType | undefined => byDatatype.get(datatype);

/** The type that a worker or a card names. */
export const typeOfWorker = (wire: unknown): TensorType | undefined => (typeof wire === 'string' ? byWire.get(wire) : undefined);

/** What a number among `DataType` of a model's configuration is called in metadata. */
export const datatypeOfConfig = (config: number): string => byConfig.get(config)?.datatype ?? 'INVALID';

/** The number of a type in a model's configuration; texts are lists of bytes. */
export const configOfDatatype = (datatype: string): number => byDatatype.get(datatype)?.config ?? 0;

/** Whether a worker's value can be one of the type's. */
export function fits(type: TensorType, value: unknown): boolean {
  if (type.contents === 'bool') return typeof value === 'boolean';
  if (type.range === undefined) return typeof value === 'number' || typeof value === 'bigint';
  if (typeof value === 'number') return Number.isInteger(value) && BigInt(value) >= type.range[0] && BigInt(value) <= type.range[1];
  return typeof value === 'bigint' && value >= type.range[0] && value <= type.range[1];
}
