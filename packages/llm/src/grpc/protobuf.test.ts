import { describe, expect, test } from 'vitest';
import { decodeInferRequest } from './messages.ts';
import { MalformedMessage, numberKinds, ProtobufReader, ProtobufWriter } from './protobuf.ts';

const written = (write: (writer: ProtobufWriter) => void): string => {
  const writer = new ProtobufWriter();
  write(writer);
  return writer.finish().toString('hex');
};

describe('what protobuf says', () => {
  test.each([
    [0n, '00'],
    [127n, '7f'],
    [128n, '8001'],
    [300n, 'ac02'],
    [2n ** 31n, '8080808008'],
    [2n ** 63n - 1n, 'ffffffffffffffff7f'],
    [2n ** 64n - 1n, 'ffffffffffffffffff01'],
    [-1n, 'ffffffffffffffffff01'],
    [-(2n ** 63n), '80808080808080808001'],
  ])('%d is %s', (value, hex) => {
    expect(written((writer) => writer.varint(value))).toBe(hex);
    const reader = new ProtobufReader(Buffer.from(`08${hex}`, 'hex'));
    expect(reader.next()).toBe(true);
    expect(value < 0n ? reader.int64() : reader.uint64()).toBe(value);
  });

  test.each([0, 1, 127, 128, 16_383, 16_384, 2_097_152])('a message of %d bytes has its length before it', (length) => {
    const bytes = Buffer.alloc(length, 7);
    const hex = written((writer) => writer.nested(3, () => writer.bytes(1, bytes)));
    const outer = new ProtobufReader(Buffer.from(hex, 'hex'));
    outer.next();
    const inner = new ProtobufReader(outer.bytes());
    inner.next();
    expect(inner.bytes().equals(bytes)).toBe(true);
    expect(outer.next()).toBe(false);
  });

  test('a list may be packed or not', () => {
    for (const hex of ['0a03019601', '080108 9601'.replace(' ', '')]) {
      const values: number[] = [];
      const reader = new ProtobufReader(Buffer.from(hex, 'hex'));
      while (reader.next()) reader.numbers(values, numberKinds.int32);
      expect(values).toEqual([1, 150]);
    }
  });
});

test('any bytes are read, or refused as malformed', () => {
  // The same numbers in every run.
  let state = 42;
  const random = (below: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % below;
  };
  let read = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = Uint8Array.from({ length: random(24) }, () => (random(3) === 0 ? random(64) : random(256)));
    try {
      decodeInferRequest(bytes);
      read++;
    } catch (error) {
      if (!(error instanceof MalformedMessage)) throw error;
    }
  }
  expect(read).toBeGreaterThan(0);
});
