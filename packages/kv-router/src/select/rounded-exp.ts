/** A number as an unevaluated sum of two doubles: about 106 bits. */
type Pair = readonly [number, number];

const splitter = 134_217_729;

function product(a: number, b: number): Pair {
  const high = a * b;
  const aTop = a * splitter - (a * splitter - a);
  const bTop = b * splitter - (b * splitter - b);
  const aRest = a - aTop;
  const bRest = b - bTop;
  return [high, aTop * bTop - high + aTop * bRest + aRest * bTop + aRest * bRest];
}

function sum([a, aLow]: Pair, [b, bLow]: Pair): Pair {
  const high = a + b;
  const part = high - a;
  const low = a - (high - part) + (b - part) + aLow + bLow;
  const result = high + low;
  return [result, low - (result - high)];
}

function times([a, aLow]: Pair, [b, bLow]: Pair): Pair {
  const [high, low] = product(a, b);
  const rest = low + a * bLow + aLow * b;
  const result = high + rest;
  return [result, rest - (result - high)];
}

function over([a, aLow]: Pair, divisor: number): Pair {
  const high = a / divisor;
  const [back, backLow] = product(high, divisor);
  const rest = (a - back - backLow + aLow) / divisor;
  const result = high + rest;
  return [result, rest - (result - high)];
}

const halvings = 8;
const terms = 12;

/**
 * e to the power of `x`, for -1 … 1, rounded to the nearest double.
 *
 * The engine's own `Math.exp` is off by one in the last place for some arguments, where the C library that 1.6.1 uses is
 * not: costs with preferred taints would differ in their last digit, and break or make ties.
 */
export function roundedExp(x: number): number {
  const reduced = x / 2 ** halvings;
  let term: Pair = [1, 0];
  let result: Pair = [1, 0];
  for (let n = 1; n <= terms; n++) {
    term = over(times(term, [reduced, 0]), n);
    result = sum(result, term);
  }
  for (let n = 0; n < halvings; n++) result = times(result, result);
  return result[0] + result[1];
}
