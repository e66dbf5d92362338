import { expect, test } from 'vitest';
import { instanceOf } from '../testing/wire-stub.ts';
import { policyContract } from './policy.contract.ts';
import { random } from './random.ts';

/** Numbers from 0 to 1 that are the same in each run (a linear congruence with the constants of Numerical Recipes). */
function seeded(state = 1): () => number {
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
}

policyContract({ open: () => random(seeded()), skip: [] });

test('the lowest and the highest draw stay within the candidates', async () => {
  const candidates = [1n, 2n, 3n].map(instanceOf);
  const pick = async (draw: number): Promise<bigint> => (await random(() => draw).pick(null, candidates, {})).instance;
  expect([await pick(0), await pick(0.34), await pick(1 - Number.EPSILON / 2)]).toEqual([1n, 2n, 3n]);
});
