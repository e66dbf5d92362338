import { expect, test } from 'vitest';
import { instanceOf } from '../testing/wire-stub.ts';
import { policyContract } from './policy.contract.ts';
import { roundRobin } from './round-robin.ts';

policyContract({ open: roundRobin, skip: [] });

test('it walks the ascending ids from the smallest, and joins and leaves do not reset the count', async () => {
  const policy = roundRobin();
  const pick = async (...ids: bigint[]): Promise<bigint> => (await policy.pick(null, ids.map(instanceOf), {})).instance;
  expect([await pick(1n, 2n, 3n), await pick(1n, 2n, 3n), await pick(1n, 2n, 3n, 4n)]).toEqual([1n, 2n, 3n]);
  expect([await pick(1n, 2n), await pick(1n, 2n)]).toEqual([2n, 1n]);
});

test('a call whose instance is settled does not move the count', async () => {
  const policy = roundRobin();
  const ids = [1n, 2n, 3n].map(instanceOf);
  const pick = async (instance?: bigint): Promise<bigint> => (await policy.pick(null, ids, instance === undefined ? {} : { instance })).instance;
  expect([await pick(), await pick(3n), await pick(3n), await pick()]).toEqual([1n, 3n, 3n, 2n]);
});
