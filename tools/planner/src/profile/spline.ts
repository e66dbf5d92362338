import { DynamoError } from '@dynamo/runtime';

/**
 * A cubic spline through points of ascending x, with the not-a-knot condition at both ends: the first two pieces are one
 * polynomial, and so are the last two. Two points give a line, three a parabola.
 */
export function cubicSpline(xs: readonly number[], ys: readonly number[]): (x: number) => number {
  check(xs, ys);
  if (xs.length < 4) return polynomial(xs, ys);
  const last = xs.length - 1;
  const step = (i: number): number => at(xs, i + 1) - at(xs, i);
  const slope = (i: number): number => (at(ys, i + 1) - at(ys, i)) / step(i);
  // Second derivatives of the inner points; those of the ends follow from their neighbours.
  const lower: number[] = [];
  const middle: number[] = [];
  const upper: number[] = [];
  const right: number[] = [];
  for (let i = 1; i < last; i++) {
    const [before, after] = [step(i - 1), step(i)];
    lower.push(before);
    middle.push(2 * (before + after));
    upper.push(after);
    right.push(6 * (slope(i) - slope(i - 1)));
  }
  const [h0, h1] = [step(0), step(1)];
  middle[0] = at(middle, 0) + h0 + (h0 * h0) / h1;
  upper[0] = at(upper, 0) - (h0 * h0) / h1;
  const [hy, hz] = [step(last - 2), step(last - 1)];
  const end = middle.length - 1;
  middle[end] = at(middle, end) + hz + (hz * hz) / hy;
  lower[end] = at(lower, end) - (hz * hz) / hy;
  const inner = tridiagonal({ lower, middle, upper, right });
  const bends = [
    at(inner, 0) + (h0 / h1) * (at(inner, 0) - at(inner, 1)),
    ...inner,
    at(inner, end) + (hz / hy) * (at(inner, end) - at(inner, end - 1)),
  ];
  return (x) => {
    let i = 0;
    while (i < last - 1 && x > at(xs, i + 1)) i++;
    const h = step(i);
    const [a, b] = [(at(xs, i + 1) - x) / h, (x - at(xs, i)) / h];
    return a * at(ys, i) + b * at(ys, i + 1) + (((a ** 3 - a) * at(bends, i) + (b ** 3 - b) * at(bends, i + 1)) * h * h) / 6;
  };
}

function check(xs: readonly number[], ys: readonly number[]): void {
  if (xs.length !== ys.length || xs.length === 0)
    throw new DynamoError('invalid_argument', `a profile needs as many values as places: ${xs.length} and ${ys.length}`);
  if ([...xs, ...ys].some((value) => !Number.isFinite(value))) throw new DynamoError('invalid_argument', 'a profile holds a value that is no number');
  for (let i = 1; i < xs.length; i++)
    if (at(xs, i) <= at(xs, i - 1)) throw new DynamoError('invalid_argument', 'the places of a profile must ascend');
}

/** The polynomial through up to three points. */
const polynomial =
  (xs: readonly number[], ys: readonly number[]) =>
  (x: number): number =>
    ys.reduce((sum, y, i) => sum + xs.reduce((part, other, j) => (i === j ? part : (part * (x - other)) / (at(xs, i) - other)), y), 0);

function tridiagonal({ lower, middle, upper, right }: Readonly<Record<'lower' | 'middle' | 'upper' | 'right', number[]>>): number[] {
  for (let i = 1; i < middle.length; i++) {
    const factor = at(lower, i) / at(middle, i - 1);
    middle[i] = at(middle, i) - factor * at(upper, i - 1);
    right[i] = at(right, i) - factor * at(right, i - 1);
  }
  const solved: number[] = [];
  for (let i = middle.length - 1; i >= 0; i--) solved[i] = (at(right, i) - at(upper, i) * (solved[i + 1] ?? 0)) / at(middle, i);
  return solved;
}

const at = (values: readonly number[], index: number): number => values[index] as number;
