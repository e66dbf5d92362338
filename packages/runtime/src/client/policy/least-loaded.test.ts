import { expect, test } from 'vitest';
import { seeded } from '../testing/seeded.ts';
import { instanceOf } from '../testing/wire-stub.ts';
import type { Route } from '../types.ts';
import { leastLoaded } from './least-loaded.ts';
import { policyContract } from './policy.contract.ts';
import { groupsOf, modeOf } from './testing/modes.ts';

policyContract({ open: () => leastLoaded(seeded()), skip: [] });

const ids = [1n, 2n, 3n, 4n];
const candidates = ids.map(instanceOf);

test('requests that run side by side spread as those of the real system: every group of four is a permutation', async () => {
  const { concurrent, counts } = modeOf('least-loaded') as { concurrent: number; counts: number[] };
  const policy = leastLoaded(seeded(7));
  const picks: bigint[] = [];
  for (let i = 0; i < concurrent; i++) picks.push((await policy.pick(null, candidates, {})).instance);
  expect(ids.map((id) => picks.filter((pick) => pick === id).length)).toEqual(counts);
  for (const group of groupsOf(4, picks)) expect(group.toSorted()).toEqual(ids);
  expect(new Set(groupsOf(4, picks).map(String)).size, 'ties are drawn, not walked').toBeGreaterThan(1);
});

test('the one that has ended most gets the next, however it ended, and an end counts once', async () => {
  const policy = leastLoaded(() => 0);
  const routes = new Map<bigint, Route>();
  for (let i = 0; i < 4; i++) {
    const route = await policy.pick(null, candidates, {});
    routes.set(route.instance, route);
  }
  routes.get(3n)?.done?.(new Error('broken'));
  routes.get(3n)?.done?.();
  expect((await policy.pick(null, candidates, {})).instance).toBe(3n);
  expect((await policy.pick(null, candidates, {})).instance).toBe(1n);
});
