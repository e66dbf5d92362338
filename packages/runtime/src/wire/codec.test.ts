import fc from 'fast-check';
import { Packr } from 'msgpackr';
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

test('a list is written as its items are, wherever its counts end', () => {
  const edges = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 0x10000, 0xffff_ffff];
  const others = [-0, -1, 0.5, 0x1_0000_0000, Number.NaN, '7', 7n, null, undefined, true];
  for (const list of [edges, [...edges, ...others, ...edges], ...others.map((other) => [other, 1]), ...others.map((other) => [1, other, 2])]) {
    expect(hex(list).slice(list.length < 16 ? 2 : 6)).toBe(list.map(hex).join(''));
  }
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

/** What travels: JSON values, 64-bit integers and bytes. */
const wireValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.maxSafeInteger(),
    // Whole numbers beyond 2^53 are integers here and floats there, minus zero the other way round; both have their reasons.
    fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value) || (Number.isSafeInteger(value) && !Object.is(value, -0))),
    fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }),
    fc.boolean(),
    fc.constant(null),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie('value'), { maxLength: 40 }),
    fc.dictionary(fc.string(), tie('value'), { maxKeys: 40, noNullPrototype: true }),
  ),
})).value;

/** One form for both readers: small integers as numbers, maps as lists of pairs. */
const plain = (value: unknown): unknown => {
  if (typeof value === 'bigint') return value <= Number.MAX_SAFE_INTEGER && value >= Number.MIN_SAFE_INTEGER ? Number(value) : value;
  if (value instanceof Uint8Array) return [...value];
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value).map(([key, member]) => [key, plain(member)]);
};

test('MessagePack agrees with another implementation, both ways', () => {
  const other = new Packr({ useRecords: false, mapsAsObjects: false, int64AsType: 'bigint', variableMapSize: true });
  const fromMaps = (value: unknown): unknown => {
    if (value instanceof Map) return [...value].map(([key, member]) => [key, fromMaps(member)]);
    return Array.isArray(value) ? value.map(fromMaps) : plain(value);
  };
  fc.assert(
    fc.property(wireValue, (value) => {
      expect(fromMaps(other.unpack(encodeMsgpack(value)))).toEqual(plain(value));
      expect(plain(decodeMsgpack(new Packr({ useRecords: false, variableMapSize: true }).pack(value)))).toEqual(plain(value));
    }),
  );
});

test('no bytes make the readers do anything but answer or refuse', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      for (const codec of Object.values(codecs)) {
        try {
          codec.decode(bytes);
        } catch (error) {
          expect(error).toMatchObject({ name: 'DynamoError', code: 'backend_protocol' });
        }
      }
    }),
    { numRuns: 1_000 },
  );
});
