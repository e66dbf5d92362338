import { describe, expect, test } from 'vitest';
import { ActiveSequences } from '../load/active-sequences.ts';
import { fromBigints } from '../load/sequence-table.ts';
import { RankTable } from '../ranks.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { costSelector } from './cost.ts';
import { selectors } from './index.ts';
import { loadOnly } from './load-only.ts';
import { roundedExp } from './rounded-exp.ts';
import { Scheduler, type SchedulerOptions } from './scheduler.ts';
import { selectorContract } from './selector.contract.ts';
import { choose } from './softmax.ts';
import { seeded } from './testing/fairness.ts';

describe('default', () => selectorContract(costSelector));
describe('load-only', () => selectorContract(loadOnly));

test('every selector is known by its own name', () => {
  for (const [name, selector] of Object.entries(selectors)) expect(selector.name).toBe(name);
});

function stage(options: Partial<SchedulerOptions> = {}, taints: readonly string[][] = [[], [], []]) {
  const ranks = new RankTable();
  const workers = new WorkerSet(ranks);
  for (const [at, own] of taints.entries()) workers.put(BigInt(at + 1), readWorkerConfig({ runtime_config: { taints: own } }));
  const sequences = new ActiveSequences({ clock: () => 0, ranks });
  const scheduler = new Scheduler({ workers, sequences }, { blockSize: 16, random: seeded(1), ...options });
  const none = new Uint32Array(taints.length);
  const overlaps = (...device: number[]) => ({ device: Uint32Array.from(device), host: none, disk: none, external: none });
  return { ranks, workers, sequences, scheduler, overlaps };
}
const four = fromBigints([1n, 2n, 3n, 4n]);

test('the worked example of the real router', () => {
  const { scheduler, overlaps } = stage({}, [[]]);
  const cached = overlaps(4);
  const place = (override?: object, overlap = cached) =>
    scheduler.place({ isl: 64, sequence: four, overlaps: overlap, ...(override === undefined ? {} : { override }) });
  expect(place().cost).toBe(4);
  expect(place(undefined, overlaps(0)).cost).toBe(8);
  expect(place({ trackPrefillTokens: false }).cost).toBe(0);
  scheduler.book('r', place());
  expect(place({ trackPrefillTokens: false }).cost).toBe(0);
  expect(place().cost).toBe(4);
  expect(place({ assumeKvReuse: false }).cost).toBe(8);
});

test('a router that does not track active blocks counts none, but requests and prompts still', () => {
  const { scheduler, sequences } = stage({ trackActiveBlocks: false }, [[]]);
  const placed = scheduler.place({ isl: 129, sequence: four });
  expect(placed.cost).toBe(129 / 16);
  scheduler.book('r', placed);
  const { blocks, prefillTokens, requests } = sequences.columns();
  expect([blocks[0], prefillTokens[0], requests[0]]).toEqual([0, 129, 1]);
});

test('a receipt tells each candidate, and why the best overlap lost', () => {
  const { scheduler, workers, overlaps } = stage({}, [['zone-a'], [], []]);
  scheduler.book('busy', {
    ...scheduler.place({ isl: 640, sequence: fromBigints([9n, 8n, 7n, 6n, 5n]), constraints: { pinned: { workerId: 2n } } }),
    trackPrefill: true,
  });
  const placed = scheduler.place({
    isl: 64,
    sequence: four,
    overlaps: overlaps(0, 4, 0),
    explain: 'receipt',
    constraints: { preferredTaints: { 'zone-a': 1 } },
  });
  const { receipt } = placed;
  expect(placed.workerId).toBe(1n);
  expect(receipt?.winner).toEqual({ workerId: 1n, dpRank: 0, cost: placed.cost });
  expect(receipt?.bestOverlap).toEqual({ workerId: 2n, dpRank: 0, reason: 'load' });
  expect(receipt?.candidates[1]).toMatchObject({
    workerId: 2n,
    eligibility: 'eligible',
    overlap: { device: 4, effective: 4 },
    cachedTokens: 64,
    load: { prefillTokens: 640, blocks: 5, requests: 1 },
    terms: { prefillBlocks: 44, credit: 4, decodeBlocks: 9, requests: 1, preference: 1 },
    cost: 49,
  });
  expect(receipt?.candidates[0]?.terms?.preference).toBeLessThan(1);
  workers.setAvailable(2n, false);
  const again = scheduler.place({ isl: 64, sequence: four, overlaps: overlaps(0, 4, 0), explain: 'receipt' });
  expect(again.receipt?.bestOverlap).toEqual({ workerId: 2n, dpRank: 0, reason: 'unavailable' });
  expect(again.receipt?.ties).toBe(2);
  expect(scheduler.place({ isl: 64, sequence: four }).receipt).toBeUndefined();
});

test('who may take a request, and the words for nobody', () => {
  const { scheduler, workers } = stage({}, [['gpu'], ['gpu', 'a'], []]);
  const place = (constraints: object) => scheduler.place({ isl: 16, sequence: new Uint32Array(0), constraints }).workerId;
  for (let n = 0; n < 20; n++) expect([1n, 2n]).toContain(place({ requiredTaints: ['gpu'] }));
  expect(place({ requiredTaints: new Set(['gpu', 'a']) })).toBe(2n);
  expect(place({ allowed: [3n], pinned: { workerId: 3n, dpRank: 0 } })).toBe(3n);
  expect(() => place({ allowed: [3n], pinned: { workerId: 1n, dpRank: 0 } })).toThrow('pinned worker 1 is not in allowed worker set');
  for (const constraints of [{ requiredTaints: ['x'] }, { allowed: [] }, { pinned: { workerId: 1n, dpRank: 5 } }, { pinned: { workerId: 9n } }]) {
    expect(() => place(constraints)).toThrow('no endpoints available to route work');
  }
  workers.remove(2n);
  expect(place({ requiredTaints: ['gpu'] })).toBe(1n);
  // A pin makes preferences pointless: the cost stays as it is.
  const pinned = scheduler.place({ isl: 16, sequence: new Uint32Array(0), constraints: { pinned: { workerId: 1n }, preferredTaints: { gpu: -5 } } });
  expect(pinned.cost).toBe(1);
});

test('equal costs are drawn with equal chances', () => {
  const random = seeded(7);
  const counts = [0, 0, 0];
  const costs = Float64Array.of(1, 2, 1, 3, 1);
  for (let n = 0; n < 6000; n++) {
    const { at, ties } = choose(costs, 5, { temperature: 0, random });
    expect(ties).toBe(3);
    counts[at / 2] = (counts[at / 2] ?? 0) + 1;
  }
  for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(150);
});

test('a temperature draws by softmax over the scaled costs, as the 6000 draws of the real router did', () => {
  const random = seeded(3);
  const draws = [0, 0, 0];
  const costs = Float64Array.of(0, 0.25, 1);
  for (let n = 0; n < 6000; n++) {
    const { at } = choose(costs, 3, { temperature: 0.5, random });
    draws[at] = (draws[at] ?? 0) + 1;
  }
  const weights = [1, Math.exp(-0.5), Math.exp(-2)];
  const total = weights.reduce((sum, weight) => sum + weight);
  for (const [at, weight] of weights.entries()) expect(Math.abs((draws[at] ?? 0) / 6000 - weight / total)).toBeLessThan(0.02);
  const equal = Float64Array.of(4, 4);
  expect(choose(equal, 2, { temperature: 1, random: () => 0.4 }).at).toBe(0);
  expect(choose(equal, 2, { temperature: 1, random: () => 0.9999 }).at).toBe(1);
  expect(choose(costs, 1, { temperature: 1, random: () => 0.5 }).at).toBe(0);
});

test('e to a power is rounded as the C library rounds it', () => {
  // Taken from the costs of worker_selection.jsonl, where the engine's own function is off by one.
  expect(roundedExp(-0.46211715726000974)).toBe(0.6299485325744386);
  expect(roundedExp(-0.9640275800758169)).toBe(0.3813538555808978);
  expect([roundedExp(0), roundedExp(1)]).toEqual([1, Math.E]);
});
