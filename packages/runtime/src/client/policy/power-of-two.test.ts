import { expect, test } from 'vitest';
import { seeded } from '../testing/seeded.ts';
import { instanceOf } from '../testing/wire-stub.ts';
import { policyContract } from './policy.contract.ts';
import { powerOfTwo } from './power-of-two.ts';

policyContract({ open: () => powerOfTwo(seeded()), skip: [] });

const candidates = [1n, 2n, 3n, 4n].map(instanceOf);
/** A policy that draws these numbers, and then fails. */
const drawing = (...numbers: number[]) =>
  powerOfTwo(() => {
    const next = numbers.shift();
    if (next === undefined) throw new Error('drew once too often');
    return next;
  });

test('two different ones are drawn; the first of equals wins, the less busy one otherwise', async () => {
  // First draws the second of four, then the step to the other one: 0.5 of three is two on, the fourth.
  const policy = drawing(0.25, 0.5, 0.25, 0.5, 0.75, 0.5);
  expect((await policy.pick(null, candidates, {})).instance).toBe(2n);
  expect((await policy.pick(null, candidates, {})).instance).toBe(4n);
  // Drawn the other way round they are equal again: the fourth comes first now.
  expect((await policy.pick(null, candidates, {})).instance).toBe(4n);
});

test('the highest draws stay within the candidates, and a single one is taken', async () => {
  const high = 1 - Number.EPSILON / 2;
  expect((await drawing(high, high).pick(null, candidates, {})).instance).toBe(4n);
  expect((await drawing(high, 0).pick(null, candidates, {})).instance).toBe(4n);
  expect((await drawing(high).pick(null, [instanceOf(9n)], {})).instance).toBe(9n);
});

test('requests that run side by side stay close to even', async () => {
  const policy = powerOfTwo(seeded(3));
  const counts = new Map<bigint, number>();
  for (let i = 0; i < 400; i++) {
    const { instance } = await policy.pick(null, candidates, {});
    counts.set(instance, (counts.get(instance) ?? 0) + 1);
  }
  for (const count of counts.values()) expect(Math.abs(count - 100)).toBeLessThanOrEqual(5);
});
