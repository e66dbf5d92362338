/** Numbers of a linear congruential generator: the same in every run. */
export function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

/** Values that hardly any member takes. */
export const odd: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 53,
  '',
  'x',
  '\u0000',
  '日本🎉',
  [],
  [null],
  [[]],
  ['a', 1],
  {},
  { a: { b: [] } },
  { __proto__x: 1 },
  'a'.repeat(10_000),
  Array.from({ length: 200 }, () => 7),
];
