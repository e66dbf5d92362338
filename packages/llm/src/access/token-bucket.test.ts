import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TokenBucket } from './token-bucket.ts';

test('a full minute may be spent at once, and comes back evenly', () => {
  let now = 0;
  const bucket = new TokenBucket(60, () => now);
  expect(bucket.take(60)).toBe(true);
  expect(bucket.take(1)).toBe(false);
  expect(bucket.waitMs(1)).toBe(1_000);
  now += 1_000;
  expect(bucket.take(1)).toBe(true);
  now += 10 * 60_000;
  expect(bucket.left).toBe(60);
});

test('what was spent beyond the reservation is a debt, what was not spent comes back', () => {
  let now = 0;
  const bucket = new TokenBucket(100, () => now);
  bucket.take(40);
  bucket.give(30);
  expect(bucket.left).toBe(90);
  bucket.give(-150);
  expect(bucket.left).toBe(-60);
  expect(bucket.waitMs(1)).toBeCloseTo(36_600);
  now += 36_600;
  expect(bucket.take(1)).toBe(true);
  expect(bucket.waitMs(101)).toBe(Infinity);
});

test('over any time no more is taken than one full bucket and what flows in', () => {
  const step = fc.record({ wait: fc.nat(5_000), take: fc.integer({ min: 1, max: 200 }) });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000 }), fc.array(step, { maxLength: 100 }), (perMinute, steps) => {
      let now = 0;
      let taken = 0;
      const bucket = new TokenBucket(perMinute, () => now);
      for (const { wait, take } of steps) {
        now += wait;
        if (bucket.take(take)) taken += take;
        expect(taken).toBeLessThanOrEqual(perMinute + (now * perMinute) / 60_000 + 1e-6);
      }
    }),
  );
});
