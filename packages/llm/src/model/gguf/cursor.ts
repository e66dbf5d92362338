import { DynamoError } from '@dynamo/runtime';

/** A value of a GGUF file's metadata. Whole numbers that fit are numbers. */
export type GgufValue = number | bigint | boolean | string | readonly GgufValue[];

/** Thrown where the bytes at hand end before the header does. */
export class NeedsMore extends Error {}

/** Value types of GGUF by their number; `string` is 8 and `array` 9. */
const sizes: Readonly<Record<number, number>> = { 0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8 };
const stringType = 8;
const arrayType = 9;

/** Arrays within arrays: nothing that is real has more than one level. */
const deepest = 4;

/** Reads a GGUF header's little-endian values one after the other. */
export class GgufCursor {
  readonly #bytes: Buffer;
  readonly #path: string;
  /** Bytes of the whole file: what is said to be longer is a lie, or the file is cut off. */
  readonly #fileSize: number;
  at = 0;

  constructor(bytes: Buffer, file: { path: string; size: number }) {
    this.#bytes = bytes;
    this.#path = file.path;
    this.#fileSize = file.size;
  }

  u32(): number {
    return this.#bytes.readUInt32LE(this.#step(4));
  }

  /** A count, a length or a place in the file. */
  u64(what: string): number {
    const value = this.#bytes.readBigUInt64LE(this.#step(8));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.invalid(`says ${value} of its ${what}: it is damaged`);
    return Number(value);
  }

  /** A count of things that take `least` bytes each, so that a false one can't have us reserve memory. */
  count(what: string, least: number): number {
    const count = this.u64(what);
    if (count * least > this.#fileSize)
      throw this.invalid(`says it has ${count} ${what}, more than its ${this.#fileSize} bytes can hold: it is cut off or damaged`);
    return count;
  }

  text(): string {
    const length = this.count('characters of a text', 1);
    const start = this.#step(length);
    return this.#bytes.toString('utf8', start, start + length);
  }

  value(type: number, depth = 0): GgufValue {
    if (type === stringType) return this.text();
    if (type === arrayType) {
      if (depth === deepest) throw this.invalid('has arrays within arrays without end');
      const of = this.u32();
      const count = this.count('array members', sizes[of] ?? 8);
      return Array.from({ length: count }, () => this.value(of, depth + 1));
    }
    const size = sizes[type];
    if (size === undefined) throw this.invalid(`has a value of the unknown type ${type}`);
    return scalar(this.#bytes, type, this.#step(size));
  }

  invalid(what: string): DynamoError {
    return new DynamoError('invalid_argument', `${this.#path} ${what}`, { data: { path: this.#path, offset: this.at } });
  }

  #step(length: number): number {
    const start = this.at;
    if (start + length > this.#bytes.length) throw new NeedsMore();
    this.at = start + length;
    return start;
  }
}

function scalar(bytes: Buffer, type: number, at: number): number | bigint | boolean {
  switch (type) {
    case 0:
      return bytes.readUInt8(at);
    case 1:
      return bytes.readInt8(at);
    case 2:
      return bytes.readUInt16LE(at);
    case 3:
      return bytes.readInt16LE(at);
    case 4:
      return bytes.readUInt32LE(at);
    case 5:
      return bytes.readInt32LE(at);
    case 6:
      return bytes.readFloatLE(at);
    case 7:
      return bytes.readUInt8(at) !== 0;
    case 10:
      return small(bytes.readBigUInt64LE(at));
    case 11:
      return small(bytes.readBigInt64LE(at));
    default:
      return bytes.readDoubleLE(at);
  }
}

const small = (value: bigint): number | bigint => (Number.isSafeInteger(Number(value)) ? Number(value) : value);
