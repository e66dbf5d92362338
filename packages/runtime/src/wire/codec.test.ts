import { expect, test } from 'vitest';
import { codecs } from './codec.ts';
import { decodeJson, encodeJsonText } from './json.ts';
import { decodeMsgpack, encodeMsgpack, float } from './msgpack.ts';

const hex = (value: unknown): string => Buffer.from(encodeMsgpack(value)).toString('hex');

test('whole numbers beyond 2^53 stay integers as long as 64 bits hold them', () => {
  expect(hex(2 ** 60)).toBe('cf1000000000000000');
  expect(hex(-(2 ** 63))).toBe('d38000000000000000');
  expect(hex(2 ** 64)).toBe('cb43f0000000000000');
  expect(hex(1e300)).toMatch(/^cb/);
});

test('a marked number is a float on both wires', () => {
  expect(hex(float(2))).toBe('cb4000000000000000');
  expect(['2.0', '-3.0', '0.5', '1e+21', 'null']).toEqual([2, -3, 0.5, 1e21, Number.NaN].map((value) => encodeJsonText(float(value))));
});

test.each(['json', 'msgpack'] as const)('%s: what has a JSON form of its own is written as that', (name) => {
  expect(codecs[name].decode(codecs[name].encode({ at: new Date(0), gone: undefined }))).toEqual({ at: '1970-01-01T00:00:00.000Z' });
});

test.each(['json', 'msgpack'] as const)('%s: a member named __proto__ is a member like any other', (name) => {
  const value = codecs[name].decode(codecs[name].encode(JSON.parse('{"__proto__":{"evil":true},"constructor":12345678901234567890}')));
  expect(Object.keys(value as object)).toEqual(['__proto__', 'constructor']);
  expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
  expect((value as { evil?: boolean }).evil).toBeUndefined();
});

test.each(['json', 'msgpack'] as const)('%s: a value that holds itself is refused', (name) => {
  const value: Record<string, unknown> = {};
  value['self'] = value;
  expect(() => codecs[name].encode(value)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

test('a view without items is refused, not lost', () => {
  expect(() => encodeMsgpack(new DataView(new ArrayBuffer(4)))).toThrow(/DataView/);
  expect(decodeMsgpack(encodeMsgpack(Uint16Array.of(1, 500)))).toEqual([1, 500]);
  expect(decodeMsgpack(encodeMsgpack(Uint8Array.of(1, 255)))).toEqual(Uint8Array.of(1, 255));
});

test('float32 is read', () => {
  expect(decodeMsgpack(Buffer.from('ca3fc00000', 'hex'))).toBe(1.5);
});

test('JSON integers are exact up to 64 bits, and larger ones cost nothing', () => {
  expect(decodeJson('[9007199254740991,9007199254740992,18446744073709551615,-9223372036854775808]')).toEqual([
    9007199254740991,
    9007199254740992n,
    18446744073709551615n,
    -9223372036854775808n,
  ]);
  expect(decodeJson('[18446744073709551616,12345678901234567890.5]')).toEqual([2 ** 64, Number('12345678901234567890.5')]);
  expect(decodeJson('1'.repeat(1_000_000))).toBe(Infinity);
});
