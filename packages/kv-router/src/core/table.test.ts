import { expect, test } from 'vitest';
import { Core } from './core.ts';
import { SequenceTable } from './sequence-table.ts';

// The table under lookups, children and sequences (assembly/table.ts), at sizes where segments divide and join again.

const factor = 0x9e37_79b9_7f4a_7c15n;
/** The number whose product with the table's factor is 1: with it a test chooses where keys fall. */
const inverse = ((): bigint => {
  let x = factor;
  for (let i = 0; i < 6; i++) x = BigInt.asUintN(64, x * (2n - factor * x));
  return x;
})();
const falling = (at: bigint): bigint => BigInt.asUintN(64, at * inverse);

test('the inverse is one', () => expect(BigInt.asUintN(64, factor * inverse)).toBe(1n));

test.each([
  ['small numbers in a row', 30_000, (i: number) => BigInt(i)],
  ['random ones', 30_000, (i: number) => BigInt.asUintN(64, BigInt(i + 1) * 0xd6e8_feb8_6659_fd93n)],
  ['keys that all fall into one segment', 6_000, (i: number) => falling(BigInt(i) << 32n)],
  ['keys that all fall into one slot', 1_500, (i: number) => falling(BigInt(i))],
])('%s come and go, and each is found as long as it is there', (_name, n, keyOf) => {
  const core = new Core();
  core.bindRank(0, 1n, 0);
  const table = new SequenceTable(core);
  const keys = BigUint64Array.from({ length: n }, (_, i) => keyOf(i));
  const live = new Set<bigint>();
  let random = 1;
  const next = (below: number): number => ((random = Math.imul(random, 1_103_515_245) + 12_345) >>> 8) & 0xff_ffff && (random >>> 8) % below;
  for (const round of [n, 0, n / 2, n / 20, n, 0]) {
    // Grow or shrink towards the round's size, in pieces and in no order.
    const order = keys.toSorted(() => next(3) - 1);
    for (let at = 0; at < n && live.size !== round; at += 97) {
      const piece = order.subarray(at, at + 97).filter((key) => live.has(key) === live.size > round);
      const shrinks = live.size > round;
      if (shrinks) expect(table.remove(piece, 0)).toBe(piece.length);
      else expect(table.add(piece, 0)).toBe(piece.length);
      for (const key of piece)
        if (shrinks) live.delete(key);
        else live.add(key);
    }
    expect(table.size).toBe(live.size);
    const counts = table.holders(keys, 0);
    expect(keys.every((key, i) => counts[i] === Number(live.has(key)))).toBe(true);
  }
  core.forgetRank(0);
  expect(table.size).toBe(0);
  expect(core.counts().bytes).toBeLessThan(200_000);
});

test('a table that has shrunk gives most of its memory back', () => {
  const core = new Core();
  core.bindRank(0, 1n, 0);
  const table = new SequenceTable(core);
  const keys = BigUint64Array.from({ length: 100_000 }, (_, i) => BigInt(i) * 77n);
  table.add(keys, 0);
  const full = core.counts().bytes;
  table.remove(keys.subarray(10_000), 0);
  expect(core.counts().bytes).toBeLessThan(full / 4);
});
