import { expect, test } from 'vitest';
import { settle } from '../../options.ts';
import { seeded } from '../testing/seeded.ts';
import { instanceOf } from '../testing/wire-stub.ts';
import type { Route } from '../types.ts';
import { deviceAwareWeighted } from './device-aware-weighted.ts';
import { policyContract } from './policy.contract.ts';
import { modeOf } from './testing/modes.ts';

policyContract({ open: () => deviceAwareWeighted(8, seeded()), skip: [] });

const workers = (devices: Record<string, string>) => Object.values(devices).map((device, index) => ({ ...instanceOf(BigInt(index + 1)), device }));
const mixed = workers({ A: 'cpu', B: 'cpu', C: 'cuda', D: 'cuda' });
const letters = ['', 'A', 'B', 'C', 'D'];

test('idle requests all go to the others, side by side the CPU workers get their share, in the places where the real system gave it', async () => {
  const captured = modeOf('device-aware-weighted') as { idle_40: Record<string, number>; concurrent_24_in_order: string };
  const policy = deviceAwareWeighted(8, seeded(5));
  const pick = async (): Promise<Route> => policy.pick(null, mixed, {});
  const idle = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const route = await pick();
    idle.add(letters[Number(route.instance)] ?? '');
    route.done?.();
  }
  expect([...idle].sort()).toEqual(Object.keys(captured.idle_40));
  let order = '';
  for (let i = 0; i < 24; i++) order += letters[Number((await pick()).instance)] ?? '';
  const kinds = (text: string): string => text.replaceAll(/[AB]/g, 'cpu ').replaceAll(/[CD]/g, 'other ');
  expect(kinds(order)).toBe(kinds(captured.concurrent_24_in_order));
});

test('workers of one kind only are least-loaded, and one that does not say its kind is no CPU', async () => {
  for (const kind of ['cpu', 'cuda']) {
    const policy = deviceAwareWeighted(8, seeded());
    const same = workers({ A: kind, B: kind });
    const picks = [await policy.pick(null, same, {}), await policy.pick(null, same, {})].map(({ instance }) => instance);
    expect(picks.toSorted()).toEqual([1n, 2n]);
  }
  const policy = deviceAwareWeighted(8, seeded());
  expect((await policy.pick(null, [...workers({ A: 'cpu' }), instanceOf(2n)], {})).instance).toBe(2n);
});

test('the ratio comes from the environment; what is no whole number from 1 is not said', () => {
  const ratio = (text?: string): number =>
    settle({ discovery: 'mem' }, text === undefined ? {} : { DYN_ENCODER_CUDA_TO_CPU_RATIO: text }).deviceRatio;
  expect([ratio(), ratio('3'), ratio('0'), ratio('-1'), ratio('many'), ratio('')]).toEqual([8, 3, 8, 8, 8, 8]);
});
