import { expect, test } from 'vitest';
import { backoff } from './backoff.ts';

test('waits double up to the most, and begin anew after a success', () => {
  const waits = backoff({ firstMs: 100, mostMs: 500, random: () => 0 });
  expect([waits.next(), waits.next(), waits.next(), waits.next(), waits.next()]).toEqual([100, 200, 400, 500, 500]);
  waits.reset();
  expect(waits.next()).toBe(100);
});

test('chance takes up to half of a wait away', () => {
  expect(backoff({ firstMs: 100, mostMs: 500, random: () => 1 }).next()).toBe(50);
});
