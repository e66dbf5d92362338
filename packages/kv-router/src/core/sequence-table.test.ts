import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Core } from './core.ts';
import { SequenceTable } from './sequence-table.ts';

const ranks = 130;

function newTable(): SequenceTable {
  const core = new Core();
  for (let rank = 0; rank < ranks; rank++) core.bindRank(rank, BigInt(rank), 0);
  return new SequenceTable(core);
}

const chain = (length: number, branch: bigint): BigUint64Array =>
  BigUint64Array.from({ length }, (_, i) => (i < 3 ? BigInt(i + 1) : (branch + 1n) * 10_000n + BigInt(i)));

test('any requests that come and go leave the counts and depths of a plain table', () => {
  const request = fc.record({ rank: fc.constantFrom(0, 1, 2, 3, 4, 5, 63, 64, 129), length: fc.nat(8), branch: fc.nat(2).map(BigInt) });
  const script = fc.array(fc.tuple(fc.boolean(), request, fc.nat()), { maxLength: 60, size: 'max' });
  fc.assert(
    fc.property(script, (steps) => {
      const table = newTable();
      const live: { rank: number; hashes: BigUint64Array }[] = [];
      const holders = (rank: number, hash: bigint): number => live.filter((one) => one.rank === rank && one.hashes.includes(hash)).length;
      for (const [add, { rank, length, branch }, pick] of steps) {
        if (add) {
          const hashes = chain(length, branch);
          const fresh = hashes.filter((hash) => holders(rank, hash) === 0).length;
          live.push({ rank, hashes });
          expect(table.add(hashes, rank)).toBe(fresh);
        } else if (live.length > 0) {
          const [one] = live.splice(pick % live.length, 1);
          const gone = one!.hashes.filter((hash) => holders(one!.rank, hash) === 0).length;
          expect(table.remove(one!.hashes, one!.rank)).toBe(gone);
        }
        const asked = chain(8, branch);
        const depths = [...table.depths(asked)];
        for (const other of [0, 3, 5, 63, 64, 129]) {
          const counts = [...asked].map((hash) => holders(other, hash));
          const first = counts.indexOf(0);
          expect(depths[other]).toBe(first < 0 ? counts.length : first);
          expect([...table.holders(asked, other)]).toEqual(counts);
        }
        expect(table.size).toBe(new Set(live.flatMap(({ hashes }) => [...hashes])).size);
      }
      for (const { rank, hashes } of live) table.remove(hashes, rank);
      expect(table.size).toBe(0);
    }),
    { numRuns: 150 },
  );
});

test('what a rank worked on goes with it', () => {
  const core = new Core();
  const table = new SequenceTable(core);
  for (let rank = 0; rank < 8; rank++) core.bindRank(rank, BigInt(rank), 0);
  for (let rank = 0; rank < 8; rank++) for (let twice = 0; twice < 2; twice++) table.add(chain(1_000, BigInt(rank % 3)), rank);
  core.forgetRank(3);
  expect([...table.depths(chain(1_000, 0n))]).toEqual([1_000, 3, 3, 0, 3, 3, 1_000, 3]);
  for (const rank of [0, 1, 2, 4, 5, 6, 7]) core.forgetRank(rank);
  expect(table.size).toBe(0);
});

test('unknown hashes and nothing at all have no depth', () => {
  const table = newTable();
  expect(table.depths(chain(4, 1n)).every((depth) => depth === 0)).toBe(true);
  expect(table.add(new BigUint64Array(0), 1)).toBe(0);
  expect(table.depths(new BigUint64Array(0)).every((depth) => depth === 0)).toBe(true);
  expect(table.remove(chain(2, 1n), 1)).toBe(0);
});
