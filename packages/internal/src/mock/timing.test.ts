import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { charged, nanoseconds } from './nanoseconds.ts';
import { FixedTiming, PolynomialTiming } from './timing.ts';

const golden = JSON.parse(readFileSync(new URL('../../../../vectors/mocker/timing.json', import.meta.url), 'utf8'));

test('the curves are those of the golden table', () => {
  const timing = new PolynomialTiming();
  for (const [count, mean, ms] of golden.prefill) expect(timing.prefillMs(count, mean)).toBe(ms);
  for (const [active, capacity, ms] of golden.decode) expect(timing.decodeMs(active, capacity)).toBe(ms);
});

test('fixed times are checked', () => {
  expect(() => new FixedTiming(1, -2)).toThrow('fixed decode latency must be finite and non-negative');
  expect(() => new FixedTiming(NaN, 1)).toThrow('fixed prefill latency must be finite and non-negative');
});

/** The exact value of a double as a fraction, rounded by hand. */
function exact(seconds: number): number {
  let scale = 1n;
  let value = seconds;
  while (!Number.isInteger(value)) {
    value *= 2;
    scale *= 2n;
  }
  const product = BigInt(value) * 1_000_000_000n;
  const [whole, rest] = [product / scale, product % scale];
  const up = rest * 2n > scale || (rest * 2n === scale && whole % 2n === 1n);
  return Number(up ? whole + 1n : whole);
}

test('nanoseconds are those nearest to the exact value, also where a product would round first', () => {
  let state = 1;
  const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  for (let index = 0; index < 20_000; index++) {
    const nanos = Math.floor(random() * 1e9) + 0.5;
    for (const seconds of [nanos / 1e9, random() * 10, (nanos / 1e9) * (1 + 2 ** -52), random() * 1e-8])
      expect(nanoseconds(seconds)).toBe(exact(seconds));
  }
  expect([0.5, 1.5, 2.5].map((n) => nanoseconds(n * 2 ** -9))).toEqual([976_562, 2_929_688, 4_882_812]);
});

test('a ratio of 0 scales nothing', () => {
  expect(charged(5, 0)).toBe(5);
  expect(charged(5, 2)).toBe(2.5);
});
