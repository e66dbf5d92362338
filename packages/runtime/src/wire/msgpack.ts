import { DynamoError } from '../error.ts';
import { rawJson } from './json.ts';

/** A number to be written as a float even when it is whole: Python and Rust tell `2.0` from `2` (spec runtime-wire 5). */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
  toJSON(): unknown {
    const text = String(this.value);
    return /^-?\d+$/.test(text) ? rawJson(`${text}.0`) : this.value;
  }
}

/** Marks a number as a float for the codecs. */
export const float = (value: number): Float => new Float(value);

/** Text of so many characters is tried as ASCII first; it is long enough to need the widest length (spec of MessagePack: str 32). */
const longText = 0x1_0000;

const utf8 = new TextEncoder();

/** Room for what comes behind long text, in bytes: a few members and the ends of what is around it. */
const spareBytes = 256;

/** Deepest nesting that is read or written. */
const maxDepth = 256;

/**
 * Writes a value in MessagePack, each integer in its smallest form, from number or bigint.
 *
 * Maps are written from plain objects; members that are `undefined` are left out. An object with `toJSON` is written as
 * what that returns, so that both codecs say the same.
 *
 * @throws DynamoError `invalid_argument` on integers beyond 64 bits, too deep nesting, functions and symbols.
 */
export function encodeMsgpack(value: unknown): Uint8Array {
  const writer = new Writer();
  writer.value(value, 0);
  return writer.finish();
}

class Writer {
  #bytes: Buffer = Buffer.allocUnsafe(512);
  #at = 0;

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#at);
  }

  value(value: unknown, depth: number): void {
    if (depth > maxDepth) throw new DynamoError('invalid_argument', `value is nested deeper than ${maxDepth} levels`);
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return Number.isInteger(value) && !Object.is(value, -0) ? this.#integer(value) : this.#float(value);
      case 'bigint':
        return this.#bigint(value);
      case 'boolean':
        return this.#byte(value ? 0xc3 : 0xc2);
      case 'undefined':
        return this.#byte(0xc0);
      case 'object':
        return this.#object(value, depth);
      default:
        throw new DynamoError('invalid_argument', `a ${typeof value} can't be sent`);
    }
  }

  #object(value: object | null, depth: number): void {
    if (value === null) return this.#byte(0xc0);
    if (value instanceof Float) return this.#float(value.value);
    if (Array.isArray(value)) return this.#array(value, depth);
    if (value instanceof Uint8Array) return this.#binary(value);
    if (ArrayBuffer.isView(value)) return this.#view(value, depth);
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.value(value.toJSON(), depth + 1);
    const entries = Object.entries(value).filter(([, member]) => member !== undefined);
    this.#head(entries.length, { fix: 0x80, fixLimit: 16, wide: 0xde });
    for (const [key, member] of entries) {
      this.#text(key);
      this.value(member, depth + 1);
    }
  }

  #view(value: ArrayBufferView, depth: number): void {
    if (value instanceof DataView) throw new DynamoError('invalid_argument', "a DataView can't be sent: send a Uint8Array");
    this.#array(Array.from(value as unknown as ArrayLike<unknown>), depth);
  }

  #array(value: readonly unknown[], depth: number): void {
    this.#head(value.length, { fix: 0x90, fixLimit: 16, wide: 0xdc });
    for (let index = this.#counts(value); index < value.length; index++) this.value(value[index], depth + 1);
  }

  /** Writes the counts below 2^32 that a list begins with, in a loop without calls: a prompt is thousands of them. Returns how many. */
  #counts(values: readonly unknown[]): number {
    if (typeof values[0] !== 'number') return 0;
    this.#room(values.length * 5);
    const bytes = this.#bytes;
    let at = this.#at;
    let index = 0;
    for (; index < values.length; index++) {
      const item = values[index];
      if (typeof item !== 'number' || item >>> 0 !== item || Object.is(item, -0)) break;
      if (item < 0x80) bytes[at++] = item;
      else if (item < 0x100) {
        bytes[at++] = 0xcc;
        bytes[at++] = item;
      } else if (item < 0x10000) {
        bytes[at++] = 0xcd;
        bytes[at++] = item >>> 8;
        bytes[at++] = item;
      } else {
        bytes[at++] = 0xce;
        bytes[at++] = item >>> 24;
        bytes[at++] = item >>> 16;
        bytes[at++] = item >>> 8;
        bytes[at++] = item;
      }
    }
    this.#at = at;
    return index;
  }

  #head(length: number, form: { fix: number; fixLimit: number; wide: number }): void {
    if (length < form.fixLimit) this.#byte(form.fix | length);
    else if (length < 0x10000) this.#tagged16(form.wide, length);
    else this.#tagged32(form.wide + 1, length);
  }

  #text(value: string): void {
    if (value.length >= longText && this.#asciiText(value)) return;
    const length = Buffer.byteLength(value);
    if (length < 32) this.#byte(0xa0 | length);
    else this.#sized(0xd9, length);
    this.#room(length);
    this.#at += this.#bytes.write(value, this.#at);
  }

  /** Writes long text in one pass over it, if it is plain ASCII: only then it fits into as many bytes as it has characters. */
  #asciiText(value: string): boolean {
    this.#room(5 + value.length);
    const at = this.#at + 5;
    const { read } = utf8.encodeInto(value, this.#bytes.subarray(at, at + value.length));
    if (read !== value.length) return false;
    this.#tagged32(0xdb, value.length);
    this.#at += value.length;
    return true;
  }

  #binary(value: Uint8Array): void {
    this.#sized(0xc4, value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  #sized(tag: number, length: number): void {
    if (length < 0x100) {
      this.#byte(tag);
      this.#byte(length);
    } else if (length < 0x10000) this.#tagged16(tag + 1, length);
    else this.#tagged32(tag + 2, length);
  }

  #integer(value: number): void {
    // Typed peers refuse a float where they expect an integer, so whole numbers stay integers as long as 64 bits hold them.
    if (!Number.isSafeInteger(value)) return value < 2 ** 64 && value >= -(2 ** 63) ? this.#bigint(BigInt(value)) : this.#float(value);
    if (value >= 0) {
      if (value < 0x80) this.#byte(value);
      else if (value < 0x100) {
        this.#byte(0xcc);
        this.#byte(value);
      } else if (value < 0x10000) this.#tagged16(0xcd, value);
      else if (value < 0x1_0000_0000) this.#tagged32(0xce, value);
      else this.#bigint(BigInt(value));
      return;
    }
    if (value >= -0x20) this.#byte(0x100 + value);
    else if (value >= -0x80) {
      this.#byte(0xd0);
      this.#byte(0x100 + value);
    } else if (value >= -0x8000) this.#tagged16(0xd1, value & 0xffff);
    else if (value >= -0x8000_0000) this.#tagged32(0xd2, value >>> 0);
    else this.#bigint(BigInt(value));
  }

  #bigint(value: bigint): void {
    if (value >= -0x8000_0000n && value < 0x1_0000_0000n) return this.#integer(Number(value));
    if (value >= 1n << 64n || value < -(1n << 63n)) {
      throw new DynamoError('invalid_argument', `integer ${value} does not fit in 64 bits`, { data: { value } });
    }
    this.#room(9);
    this.#bytes[this.#at++] = value < 0n ? 0xd3 : 0xcf;
    this.#at = value < 0n ? this.#bytes.writeBigInt64BE(value, this.#at) : this.#bytes.writeBigUInt64BE(value, this.#at);
  }

  #float(value: number): void {
    this.#room(9);
    this.#bytes[this.#at++] = 0xcb;
    this.#at = this.#bytes.writeDoubleBE(value, this.#at);
  }

  #byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  #tagged16(tag: number, value: number): void {
    this.#room(3);
    this.#bytes[this.#at++] = tag;
    this.#at = this.#bytes.writeUInt16BE(value, this.#at);
  }

  #tagged32(tag: number, value: number): void {
    this.#room(5);
    this.#bytes[this.#at++] = tag;
    this.#at = this.#bytes.writeUInt32BE(value, this.#at);
  }

  #room(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + length + spareBytes));
    this.#bytes.copy(grown, 0, 0, this.#at);
    this.#bytes = grown;
  }
}

/**
 * Reads one MessagePack value that fills the bytes exactly.
 *
 * Integers beyond 2^53 come back as bigint, the others as number; binary as a copy.
 *
 * @throws DynamoError `backend_protocol` on truncated, left-over, too deep or unknown input. Nothing is allocated on a
 * length's mere claim.
 */
export function decodeMsgpack(bytes: Uint8Array): unknown {
  const reader = new Reader(bytes);
  const value = reader.value(0);
  reader.finished();
  return value;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  finished(): void {
    if (this.#at !== this.#bytes.length) this.#fail(`${this.#bytes.length - this.#at} bytes are left over`);
  }

  value(depth: number): unknown {
    if (depth > maxDepth) this.#fail(`nesting is deeper than ${maxDepth}`);
    const tag = this.#unsigned(1);
    if (tag < 0x80) return tag;
    if (tag < 0x90) return this.#map(tag & 0x0f, depth);
    if (tag < 0xa0) return this.#array(tag & 0x0f, depth);
    if (tag < 0xc0) return this.#text(tag & 0x1f);
    if (tag >= 0xe0) return tag - 0x100;
    return this.#tagged(tag, depth);
  }

  #tagged(tag: number, depth: number): unknown {
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6:
        return Uint8Array.from(this.#take(this.#unsigned(1 << (tag - 0xc4))));
      case 0xca:
        return this.#take(4).readFloatBE();
      case 0xcb:
        return this.#take(8).readDoubleBE();
      case 0xcc:
      case 0xcd:
      case 0xce:
        return this.#unsigned(1 << (tag - 0xcc));
      case 0xcf:
        return small(this.#take(8).readBigUInt64BE());
      case 0xd0:
        return this.#take(1).readInt8();
      case 0xd1:
        return this.#take(2).readInt16BE();
      case 0xd2:
        return this.#take(4).readInt32BE();
      case 0xd3:
        return small(this.#take(8).readBigInt64BE());
      case 0xd9:
      case 0xda:
      case 0xdb:
        return this.#text(this.#unsigned(1 << (tag - 0xd9)));
      case 0xdc:
      case 0xdd:
        return this.#array(this.#unsigned(tag === 0xdc ? 2 : 4), depth);
      case 0xde:
      case 0xdf:
        return this.#map(this.#unsigned(tag === 0xde ? 2 : 4), depth);
      default:
        return this.#fail(`tag 0x${tag.toString(16)} is not used on this wire`);
    }
  }

  #map(length: number, depth: number): Record<string, unknown> {
    const map: Record<string, unknown> = {};
    for (let i = 0; i < length; i++) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'bigint') this.#fail('a map key is neither text nor an integer');
      const member = this.value(depth + 1);
      if (key === '__proto__') Object.defineProperty(map, key, { value: member, enumerable: true, configurable: true, writable: true });
      else map[String(key)] = member;
    }
    return map;
  }

  #array(length: number, depth: number): unknown[] {
    const array: unknown[] = [];
    for (let i = 0; i < length; i++) array.push(this.value(depth + 1));
    return array;
  }

  #text(length: number): string {
    const at = this.#at;
    this.#skip(length);
    return this.#bytes.toString('utf8', at, this.#at);
  }

  #unsigned(width: number): number {
    const at = this.#at;
    this.#skip(width);
    return this.#bytes.readUIntBE(at, width);
  }

  #take(length: number): Buffer {
    const at = this.#at;
    this.#skip(length);
    return this.#bytes.subarray(at, this.#at);
  }

  #skip(length: number): void {
    if (this.#at + length > this.#bytes.length) this.#fail(`${length} bytes are announced where ${this.#bytes.length - this.#at} are left`);
    this.#at += length;
  }

  #fail(what: string): never {
    throw new DynamoError('backend_protocol', `MessagePack at byte ${this.#at}: ${what}`, { data: { offset: this.#at, length: this.#bytes.length } });
  }
}

const small = (value: bigint): number | bigint => (value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value);
