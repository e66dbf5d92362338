import { DynamoError } from '../error.ts';
import { decodeMsgpack } from './msgpack.ts';

/** One message of the event plane (spec runtime-wire 13.1). */
export interface EventEnvelope {
  readonly publisher: bigint;
  /** Counts a publisher's messages, from 0. */
  readonly sequence: number;
  /** Milliseconds since 1970. */
  readonly publishedAt: number;
  readonly topic: string;
  /** The event, in MessagePack. Looks at the bytes that were decoded. */
  readonly payload: Uint8Array;
}

/** What changes from one message of a publisher to the next. */
export interface EventBody {
  readonly sequence: number;
  readonly publishedAt: number;
  readonly payload: Uint8Array;
}

const memberNames = ['publisher_id', 'sequence', 'published_at', 'topic', 'payload'] as const;
const [publisherName, sequenceName, publishedAtName, topicName, payloadName] = memberNames.map((name) =>
  Buffer.concat([Buffer.from([0xa0 | name.length]), Buffer.from(name)]),
) as [Buffer, Buffer, Buffer, Buffer, Buffer];
/** MessagePack's head of a map of five. */
const mapOfFive = 0x85;

/**
 * Makes the writer of one publisher's envelopes: what never changes is laid out once.
 *
 * Each call returns new bytes with `room` bytes left free in front, for a transport's own header.
 */
export function envelopeWriter(publisher: bigint, topic: string, room = 0): (body: EventBody) => Buffer {
  const id = Buffer.allocUnsafe(9);
  const before = Buffer.concat([Buffer.from([mapOfFive]), publisherName, id.subarray(0, putUnsigned(id, 0, publisher)), sequenceName]);
  const name = Buffer.from(topic);
  const sized = Buffer.allocUnsafe(5);
  const between = Buffer.concat([topicName, sized.subarray(0, putTextHead(sized, 0, name.length)), name, payloadName]);
  /** Two integers and the head of the binary, at their widest. */
  const widest = room + before.length + 9 + publishedAtName.length + 9 + between.length + 5;
  return ({ sequence, publishedAt, payload }) => {
    const bytes = Buffer.allocUnsafe(widest + payload.length);
    let at = room;
    at += before.copy(bytes, at);
    at = putUnsigned(bytes, at, sequence);
    at += publishedAtName.copy(bytes, at);
    at = putUnsigned(bytes, at, publishedAt);
    at += between.copy(bytes, at);
    at = putBinaryHead(bytes, at, payload.length);
    bytes.set(payload, at);
    return bytes.subarray(0, at + payload.length);
  };
}

/**
 * Reads an envelope: members in any order, unknown ones ignored.
 *
 * @throws DynamoError `backend_protocol` for anything else.
 */
export function decodeEnvelope(bytes: Buffer): EventEnvelope {
  return readUsual(bytes) ?? readAny(bytes);
}

/** The members in the order in which the real system writes them; undefined when the bytes are anything else. */
function readUsual(bytes: Buffer): EventEnvelope | undefined {
  const cursor = new Cursor(bytes);
  if (bytes[0] !== mapOfFive || !cursor.name(publisherName)) return undefined;
  const publisher = cursor.wide();
  if (publisher === undefined || !cursor.name(sequenceName)) return undefined;
  const sequence = cursor.unsigned();
  if (sequence === undefined || !cursor.name(publishedAtName)) return undefined;
  const publishedAt = cursor.unsigned();
  if (publishedAt === undefined || !cursor.name(topicName)) return undefined;
  const topic = cursor.text();
  if (topic === undefined || !cursor.name(payloadName)) return undefined;
  const payload = cursor.binary();
  if (payload === undefined || cursor.at !== bytes.length) return undefined;
  return { publisher, sequence, publishedAt, topic, payload };
}

function readAny(bytes: Buffer): EventEnvelope {
  const map = decodeMsgpack(bytes);
  if (typeof map !== 'object' || map === null) throw broken('it is not a map');
  const { publisher_id: publisher, sequence, published_at: publishedAt, topic, payload } = map as Record<string, unknown>;
  if (!whole(publisher)) throw broken('publisher_id is not an unsigned integer');
  if (!whole(sequence) || typeof sequence === 'bigint') throw broken('sequence is not a number that counts');
  if (!whole(publishedAt) || typeof publishedAt === 'bigint') throw broken('published_at is not a time');
  if (typeof topic !== 'string') throw broken('topic is not text');
  if (!(payload instanceof Uint8Array)) throw broken('payload is not binary');
  return { publisher: BigInt(publisher), sequence, publishedAt, topic, payload };
}

/** Steps over bytes; each reader answers undefined where the bytes are not what it reads. */
class Cursor {
  at = 1;
  readonly #bytes: Buffer;
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  name(name: Buffer): boolean {
    const start = this.at;
    if (start + name.length > this.#bytes.length) return false;
    for (let i = 0; i < name.length; i++) if (this.#bytes[start + i] !== name[i]) return false;
    this.at = start + name.length;
    return true;
  }

  wide(): bigint | undefined {
    if (this.#bytes[this.at] !== 0xcf) {
      const small = this.unsigned();
      return small === undefined ? undefined : BigInt(small);
    }
    const start = this.#skip(9);
    return start === undefined ? undefined : this.#bytes.readBigUInt64BE(start + 1);
  }

  unsigned(): number | undefined {
    const tag = this.#bytes[this.at];
    if (tag === undefined || (tag >= 0x80 && tag < 0xcc) || tag > 0xcf) return undefined;
    const width = tag < 0x80 ? 0 : 1 << (tag - 0xcc);
    const start = this.#skip(1 + width);
    if (start === undefined) return undefined;
    if (width === 0) return tag;
    if (width < 8) return this.#bytes.readUIntBE(start + 1, width);
    const value = this.#bytes.readUInt32BE(start + 1) * 0x1_0000_0000 + this.#bytes.readUInt32BE(start + 5);
    return Number.isSafeInteger(value) ? value : undefined;
  }

  text(): string | undefined {
    const tag = this.#bytes[this.at];
    const length = tag !== undefined && tag >= 0xa0 && tag < 0xc0 ? this.#short(tag) : this.#length(0xd9);
    const start = length === undefined ? undefined : this.#skip(length);
    return start === undefined ? undefined : this.#bytes.toString('utf8', start, this.at);
  }

  binary(): Uint8Array | undefined {
    const length = this.#length(0xc4);
    const start = length === undefined ? undefined : this.#skip(length);
    return start === undefined ? undefined : this.#bytes.subarray(start, this.at);
  }

  #short(tag: number): number {
    this.at++;
    return tag & 0x1f;
  }

  /** A length after the tag `first`, `first + 1` or `first + 2`, of 1, 2 or 4 bytes. */
  #length(first: number): number | undefined {
    const tag = this.#bytes[this.at];
    if (tag === undefined || tag < first || tag > first + 2) return undefined;
    const width = 1 << (tag - first);
    const start = this.#skip(1 + width);
    return start === undefined ? undefined : this.#bytes.readUIntBE(start + 1, width);
  }

  #skip(length: number): number | undefined {
    const start = this.at;
    if (start + length > this.#bytes.length) return undefined;
    this.at = start + length;
    return start;
  }
}

/** The smallest form, as the real system's writer picks it. */
function putUnsigned(bytes: Buffer, at: number, value: number | bigint): number {
  if (value < 0x80) return bytes.writeUInt8(Number(value), at);
  if (value < 0x100) return bytes.writeUInt8(Number(value), bytes.writeUInt8(0xcc, at));
  if (value < 0x10000) return bytes.writeUInt16BE(Number(value), bytes.writeUInt8(0xcd, at));
  if (value < 0x1_0000_0000) return bytes.writeUInt32BE(Number(value), bytes.writeUInt8(0xce, at));
  bytes[at] = 0xcf;
  if (typeof value === 'bigint') return bytes.writeBigUInt64BE(value, at + 1);
  bytes.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at + 1);
  return bytes.writeUInt32BE(value >>> 0, at + 5);
}

function putTextHead(bytes: Buffer, at: number, length: number): number {
  return length < 32 ? bytes.writeUInt8(0xa0 | length, at) : putLength(bytes, at, { tag: 0xd9, length });
}

const putBinaryHead = (bytes: Buffer, at: number, length: number): number => putLength(bytes, at, { tag: 0xc4, length });

function putLength(bytes: Buffer, at: number, { tag, length }: { tag: number; length: number }): number {
  if (length < 0x100) return bytes.writeUInt8(length, bytes.writeUInt8(tag, at));
  if (length < 0x10000) return bytes.writeUInt16BE(length, bytes.writeUInt8(tag + 1, at));
  return bytes.writeUInt32BE(length, bytes.writeUInt8(tag + 2, at));
}

const whole = (value: unknown): value is number | bigint =>
  typeof value === 'bigint' ? value >= 0n : typeof value === 'number' && Number.isInteger(value) && value >= 0;

const broken = (what: string): DynamoError => new DynamoError('backend_protocol', `event envelope: ${what}`);
