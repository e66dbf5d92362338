import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ActiveSequences } from '../load/active-sequences.ts';
import { RankTable } from '../ranks.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { WorkerSet } from '../workers/worker-set.ts';
import { Scheduler } from './scheduler.ts';
import type { SelectionFacts, Selector } from './selector.ts';
import { fairness, type Traffic } from './testing/fairness.ts';

const column = (size: number, most: number) => fc.array(fc.nat(most), { minLength: size, maxLength: size });

/** Facts of a decision over up to 8 ranks. */
const facts: fc.Arbitrary<SelectionFacts> = fc.integer({ min: 1, max: 8 }).chain((ranks) =>
  fc
    .record({
      isl: fc.integer({ min: 1, max: 4000 }),
      columns: fc.tuple(
        column(ranks, 20),
        column(ranks, 20),
        column(ranks, 20),
        column(ranks, 20),
        column(ranks, 5000),
        column(ranks, 300),
        column(ranks, 30),
      ),
      trackPrefill: fc.boolean(),
      decay: fc.constantFrom(0, 0.5, 2),
    })
    .map(({ isl, columns: [device, host, disk, external, prefill, blocks, requests], trackPrefill, decay }) => ({
      blockSize: 16,
      isl,
      sequenceBlocks: Math.floor(isl / 16),
      candidates: Uint32Array.from({ length: ranks }, (_, rank) => rank),
      count: ranks,
      overlaps: {
        device: Uint32Array.from(device),
        host: Uint32Array.from(host),
        disk: Uint32Array.from(disk),
        external: Uint32Array.from(external),
      },
      loads: { prefillTokens: Float64Array.from(prefill), blocks: Float64Array.from(blocks), requests: Uint32Array.from(requests) },
      depths: new Uint32Array(ranks),
      trackPrefill,
      weights: {
        overlapCredit: 1,
        overlapCreditDecay: decay,
        prefillLoadScale: 1,
        activeRequestWeight: 0.5,
        hostWeight: 0.75,
        diskWeight: 0.25,
        sharedMultiplier: 0,
        role: 'decode' as const,
      },
    })),
);

const scored = (selector: Selector, given: SelectionFacts): Float64Array => {
  const costs = new Float64Array(given.count);
  selector.score(given, costs);
  return costs;
};

/** What every selector promises. */
export function selectorContract(selector: Selector): void {
  test('costs are finite numbers and never below 0', () => {
    fc.assert(fc.property(facts, (given) => scored(selector, given).every((cost) => Number.isFinite(cost) && cost >= 0)));
  });

  test("a rank's cost does not depend on where it stands among the candidates", () => {
    fc.assert(
      fc.property(facts, (given) => {
        const turned = { ...given, candidates: given.candidates.toReversed() };
        expect([...scored(selector, turned)].toReversed()).toEqual([...scored(selector, given)]);
      }),
    );
  });

  test('more load on a rank never makes it cheaper', () => {
    fc.assert(
      fc.property(facts, fc.nat(7), (given, pick) => {
        const rank = pick % given.count;
        const before = scored(selector, given)[rank] ?? 0;
        const { blocks, requests } = given.loads;
        const heavier = {
          ...given,
          loads: { ...given.loads, blocks: blocks.with(rank, (blocks[rank] ?? 0) + 3), requests: requests.with(rank, (requests[rank] ?? 0) + 1) },
        };
        expect(scored(selector, heavier)[rank]).toBeGreaterThanOrEqual(before);
      }),
    );
  });

  test('a preference scales the cost', () => {
    fc.assert(
      fc.property(facts, (given) => {
        const halved = { ...given, preference: new Float64Array(given.count).fill(0.5) };
        expect([...scored(selector, halved)]).toEqual([...scored(selector, given)].map((cost) => cost * 0.5));
      }),
    );
  });

  const kinds: Traffic[] = ['shared system prompt', 'burst to equal workers', 'cold restarted worker'];
  test.each(kinds)('stays fair over 8 workers: %s', (traffic) => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const ranks = new RankTable();
        const workers = new WorkerSet(ranks);
        for (let id = 1n; id <= 8n; id++) workers.put(id, readWorkerConfig({}));
        const sequences = new ActiveSequences({ clock: () => 0, ranks });
        expect(
          fairness({ traffic, seed, open: (random) => new Scheduler({ workers, sequences }, { blockSize: 16, selector, random }) }),
        ).toBeLessThan(1.5);
      }),
      { numRuns: 20 },
    );
  });
}
