import { expect, test } from 'vitest';
import { type Candidates, draw, penalize, seededRandom, sorted } from './draw.ts';

const candidates = (...scores: number[]): Candidates => ({ ids: scores.map((_, at) => 10 + at), scores: Float64Array.from(scores) });
/** What a thousand draws give, by how often. */
function counts(of: Candidates, options: Parameters<typeof draw>[1]): Record<number, number> {
  const random = seededRandom(1);
  const result: Record<number, number> = {};
  for (let at = 0; at < 1_000; at++) {
    const id = draw(of, options, random);
    result[id] = (result[id] ?? 0) + 1;
  }
  return result;
}

test('temperature 0 takes the likeliest', () => {
  expect(counts(candidates(2, 1.9, 1.8), { temperature: 0 })).toEqual({ 10: 1_000 });
});

test('draws follow the weights', () => {
  const { 10: first = 0, 11: second = 0 } = counts(candidates(Math.log(3), 0), {});
  expect(first + second).toBe(1_000);
  expect(first / second).toBeGreaterThan(2);
  expect(first / second).toBeLessThan(4.5);
});

test('top_k, top_p and min_p cut the tail off', () => {
  const even = candidates(0, 0, 0, 0);
  expect(Object.keys(counts(even, { topK: 2 }))).toEqual(['10', '11']);
  expect(Object.keys(counts(even, { topP: 0.5 }))).toEqual(['10', '11']);
  expect(Object.keys(counts(candidates(0, -0.1, -5), { minP: 0.5 }))).toEqual(['10', '11']);
});

test('a seed gives the same numbers again, another one gives others; large ones count', () => {
  const numbers = (seed: number | bigint): number[] => Array.from({ length: 5 }, seededRandom(seed));
  expect(numbers(7)).toEqual(numbers(7n));
  expect(numbers(7)).not.toEqual(numbers(8));
  expect(numbers(1n << 40n)).not.toEqual(numbers(0));
  expect(numbers(3).every((value) => value >= 0 && value < 1)).toBe(true);
});

test('penalties lower what was said, by factor, once and each time', () => {
  const all = candidates(2, -2, 4, 1);
  penalize(all, { prompt: new Set([10]), answer: new Map([[12, 3]]) }, { repetitionPenalty: 2, presencePenalty: 0.5, frequencyPenalty: 0.25 });
  expect([...all.scores]).toEqual([1, -2, 4 / 2 - 0.5 - 0.75, 1]);
  expect(sorted(all).ids).toEqual([10, 13, 12, 11]);
});
