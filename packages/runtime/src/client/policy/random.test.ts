import { expect, test } from 'vitest';
import { instanceOf } from '../testing/wire-stub.ts';
import { seeded } from '../testing/seeded.ts';
import { policyContract } from './policy.contract.ts';
import { random } from './random.ts';

policyContract({ open: () => random(seeded()), skip: [] });

test('the lowest and the highest draw stay within the candidates', async () => {
  const candidates = [1n, 2n, 3n].map(instanceOf);
  const pick = async (draw: number): Promise<bigint> => (await random(() => draw).pick(null, candidates, {})).instance;
  expect([await pick(0), await pick(0.34), await pick(1 - Number.EPSILON / 2)]).toEqual([1n, 2n, 3n]);
});
