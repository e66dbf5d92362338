import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RankTable } from './ranks.ts';

test('a rank keeps its number, also one whose worker id needs all 64 bits', () => {
  const ranks = new RankTable();
  const big = 18_446_744_073_709_551_615n;
  expect([ranks.intern(big, 0), ranks.intern(7n, 3), ranks.intern(big, 1), ranks.intern(7n, 3)]).toEqual([0, 1, 2, 1]);
  expect(ranks.count).toBe(3);
  expect([ranks.workerIdOf(2), ranks.dpRankOf(2), ranks.find(big, 0), ranks.find(big, 2), ranks.find(8n, 0)]).toEqual([
    big,
    1,
    0,
    undefined,
    undefined,
  ]);
  expect(ranks.ranksOf(big)).toEqual([0, 2]);
});

test('a released number is unused until another rank gets it', () => {
  const ranks = new RankTable();
  ranks.intern(1n, 0);
  ranks.intern(1n, 1);
  ranks.release(0);
  ranks.release(0);
  expect([ranks.has(0), ranks.find(1n, 0), ranks.count, ranks.ranksOf(1n)]).toEqual([false, undefined, 2, [1]]);
  expect(() => ranks.workerIdOf(0)).toThrow('0 is no rank');
  expect(() => ranks.dpRankOf(0)).toThrow('0 is no rank');
  expect(ranks.intern(9n, 4)).toBe(0);
  expect(ranks.count).toBe(2);
});

test('numbers and ranks stay one to one under any script', () => {
  const step = fc.tuple(fc.boolean(), fc.bigInt(0n, 5n), fc.nat(3));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (script) => {
      const ranks = new RankTable();
      const live = new Map<string, number>();
      for (const [add, worker, dp] of script) {
        const key = `${worker}/${dp}`;
        if (add) live.set(key, ranks.intern(worker, dp));
        else {
          const rank = ranks.find(worker, dp);
          expect(rank).toBe(live.get(key));
          if (rank !== undefined) ranks.release(rank);
          live.delete(key);
        }
        expect(new Set(live.values()).size).toBe(live.size);
        for (const [name, rank] of live) expect(`${ranks.workerIdOf(rank)}/${ranks.dpRankOf(rank)}`).toBe(name);
      }
    }),
  );
});
