/** Numbers from 0 to 1 that are the same in each run (a linear congruence with the constants of Numerical Recipes). */
export function seeded(state = 1): () => number {
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}
