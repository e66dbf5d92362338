/** How a field's value is laid out (protobuf encoding, wire types). */
const varintType = 0;
const fixed64Type = 1;
const bytesType = 2;
const fixed32Type = 5;

/** Writes protobuf messages, fields in the order of the calls. */
export class ProtobufWriter {
  #buffer = Buffer.allocUnsafe(256);
  #at = 0;

  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at);
  }

  /** A text, left out when it is empty as proto3 does. */
  text(field: number, value: string): void {
    if (value !== '') this.bytes(field, Buffer.from(value));
  }

  bool(field: number, value: boolean): void {
    if (!value) return;
    this.#tag(field, varintType);
    this.varint(1);
  }

  integer(field: number, value: number): void {
    if (value === 0) return;
    this.#tag(field, varintType);
    this.varint(value);
  }

  /** Bytes, also where there are none: an element of a list. */
  bytes(field: number, value: Uint8Array): void {
    this.#tag(field, bytesType);
    this.varint(value.length);
    this.#reserve(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  /** A message, or a packed list: whatever `write` puts there, with its length before it. */
  nested(field: number, write: () => void): void {
    this.#tag(field, bytesType);
    const start = this.#at;
    this.#reserve(1);
    this.#at++;
    write();
    const length = this.#at - start - 1;
    const more = varintLength(length) - 1;
    if (more > 0) {
      this.#reserve(more);
      this.#buffer.copyWithin(start + 1 + more, start + 1, this.#at);
    }
    this.#at = start;
    this.varint(length);
    this.#at += length;
  }

  /** A number of a `oneof`, written even when it is 0. */
  oneOf(field: number, value: boolean | bigint): void {
    this.#tag(field, varintType);
    this.varint(typeof value === 'boolean' ? Number(value) : value);
  }

  oneOfDouble(field: number, value: number): void {
    this.#tag(field, fixed64Type);
    this.double(value);
  }

  /** Negative numbers take ten bytes, as 64-bit two's complement. */
  varint(value: number | bigint): void {
    this.#reserve(10);
    if (typeof value === 'number' && value >= 0 && value <= 0x7fffffff) {
      for (; value > 0x7f; value >>>= 7) this.#buffer[this.#at++] = (value & 0x7f) | 0x80;
      this.#buffer[this.#at++] = value;
      return;
    }
    let left = BigInt.asUintN(64, BigInt(value));
    for (; left > 0x7fn; left >>= 7n) this.#buffer[this.#at++] = Number(left & 0x7fn) | 0x80;
    this.#buffer[this.#at++] = Number(left);
  }

  float(value: number): void {
    this.#reserve(4);
    this.#at = this.#buffer.writeFloatLE(value, this.#at);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#at = this.#buffer.writeDoubleLE(value, this.#at);
  }

  #tag(field: number, type: number): void {
    this.varint(field * 8 + type);
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }
}

function varintLength(value: number): number {
  let length = 1;
  for (let left = value; left > 0x7f; left = Math.floor(left / 0x80)) length++;
  return length;
}

/** A message that is no protobuf, or not of the kind that was expected. */
export class MalformedMessage extends Error {
  override readonly name = 'MalformedMessage';
}

/** Reads one protobuf message, field by field: `next`, then the reader that fits the field, or `skip`. */
export class ProtobufReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;
  /** Number of the field that `next` has found. */
  field = 0;
  #type = varintType;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#end = bytes.length;
    this.#at = 0;
  }

  /** Moves to the next field; false at the end. */
  next(): boolean {
    if (this.#at >= this.#end) return false;
    const tag = Number(this.#varint());
    this.field = Math.floor(tag / 8);
    this.#type = tag % 8;
    if (this.field === 0 || tag > 0xffffffff) throw new MalformedMessage('invalid tag value');
    return true;
  }

  bytes(): Buffer {
    this.#expect(bytesType);
    return this.#take(this.#length());
  }

  text(): string {
    const bytes = this.bytes();
    try {
      return utf8.decode(bytes);
    } catch {
      throw new MalformedMessage('invalid string value: data is not UTF-8 encoded');
    }
  }

  bool(): boolean {
    this.#expect(varintType);
    return this.#varint() !== 0n;
  }

  int64(): bigint {
    this.#expect(varintType);
    return BigInt.asIntN(64, this.#varint());
  }

  uint64(): bigint {
    this.#expect(varintType);
    return this.#varint();
  }

  double(): number {
    this.#expect(fixed64Type);
    return this.#take(8).readDoubleLE();
  }

  /** Adds the values of a repeated number: one, or a packed list of them. */
  numbers<T>(into: T[], kind: NumberKind<T>): void {
    if (this.#type !== bytesType) {
      this.#expect(kind.type);
      into.push(this.#one(kind));
      return;
    }
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.#end) throw new MalformedMessage('buffer underflow');
    while (this.#at < end) into.push(this.#one(kind));
    if (this.#at !== end) throw new MalformedMessage('a packed list ends in the middle of a value');
  }

  /** Passes over a field that is not of interest. */
  skip(): void {
    if (this.#type === varintType) this.#varint();
    else if (this.#type === bytesType) this.#take(this.#length());
    else if (this.#type === fixed64Type) this.#take(8);
    else if (this.#type === fixed32Type) this.#take(4);
    else throw new MalformedMessage(`invalid wire type value: ${this.#type}`);
  }

  #one<T>({ type, read }: NumberKind<T>): T {
    if (type === varintType) return read(this.#varint());
    return read(this.#take(type === fixed32Type ? 4 : 8));
  }

  #expect(type: number): void {
    if (this.#type !== type) throw new MalformedMessage(`invalid wire type: ${this.#type} (expected ${type})`);
  }

  #length(): number {
    const length = this.#varint();
    if (length > BigInt(this.#end - this.#at)) throw new MalformedMessage('buffer underflow');
    return Number(length);
  }

  #take(length: number): Buffer {
    const from = this.#at;
    this.#at += length;
    if (this.#at > this.#end) throw new MalformedMessage('buffer underflow');
    return this.#bytes.subarray(from, this.#at);
  }

  #varint(): bigint {
    let low = 0;
    // Small values, nearly all there are, need no bigint on the way.
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low += (byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt(low);
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new MalformedMessage('invalid varint');
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new MalformedMessage('invalid varint');
    return this.#bytes[this.#at++] as number;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How the values of a repeated number are read. */
export type NumberKind<T> =
  | { readonly type: 0; readonly read: (raw: bigint | Buffer) => T }
  | { readonly type: 1; readonly read: (raw: bigint | Buffer) => T }
  | { readonly type: 5; readonly read: (raw: bigint | Buffer) => T };

/** The kinds of numbers in tensors and shapes. */
export const numberKinds: {
  readonly bool: NumberKind<boolean>;
  readonly int32: NumberKind<number>;
  readonly uint32: NumberKind<number>;
  readonly int64: NumberKind<bigint>;
  readonly uint64: NumberKind<bigint>;
  readonly float: NumberKind<number>;
  readonly double: NumberKind<number>;
} = {
  bool: { type: varintType, read: (raw) => raw !== 0n },
  int32: { type: varintType, read: (raw) => Number(BigInt.asIntN(32, raw as bigint)) },
  uint32: { type: varintType, read: (raw) => Number(BigInt.asUintN(32, raw as bigint)) },
  int64: { type: varintType, read: (raw) => BigInt.asIntN(64, raw as bigint) },
  uint64: { type: varintType, read: (raw) => raw as bigint },
  float: { type: fixed32Type, read: (raw) => (raw as Buffer).readFloatLE() },
  double: { type: fixed64Type, read: (raw) => (raw as Buffer).readDoubleLE() },
};
