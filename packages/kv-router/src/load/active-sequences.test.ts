import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RankTable } from '../ranks.ts';
import { ActiveSequences } from './active-sequences.ts';
import { outputGrowth } from './output-growth.ts';
import { fromBigints, type SequenceHashes, toBigints } from './sequence-table.ts';

/** The rules of spec kv-router 7, said as plainly as can be. */
class NaiveLoads {
  readonly requests = new Map<string, { rank: number; blocks: bigint[]; outputs: number[]; prefill: number; since: number }>();
  readonly weights = new Map<string, number>();

  add(id: string, rank: number, blocks: bigint[], prefill: number, since: number): boolean {
    if (this.requests.has(id)) return false;
    this.requests.set(id, { rank, blocks, outputs: [], prefill, since });
    return true;
  }

  holders(rank: number, block: bigint): number {
    return [...this.requests.values()].filter((request) => request.rank === rank && request.blocks.includes(block)).length;
  }

  output(id: string, decay: number | undefined): void {
    const request = this.requests.get(id);
    if (request === undefined) return;
    request.outputs.push(1);
    if (decay === undefined) return;
    request.outputs.fill(decay);
    for (const block of request.blocks) if (this.holders(request.rank, block) === 1) this.weights.set(`${request.rank} ${block}`, decay);
  }

  free(id: string): void {
    const request = this.requests.get(id);
    this.requests.delete(id);
    for (const block of request?.blocks ?? []) if (this.holders(request?.rank ?? 0, block) === 0) this.weights.delete(`${request?.rank} ${block}`);
  }

  expire(now: number, limit: number): void {
    for (const [id, { since }] of this.requests) if (now - since > limit) this.free(id);
  }

  live(rank: number): Set<bigint> {
    return new Set([...this.requests.values()].filter((request) => request.rank === rank).flatMap(({ blocks }) => blocks));
  }

  of(rank: number): { blocks: number; prefill: number; requests: number } {
    const mine = [...this.requests.values()].filter((request) => request.rank === rank);
    const prompt = [...this.live(rank)].reduce((sum, block) => sum + (this.weights.get(`${rank} ${block}`) ?? 1), 0);
    const outputs = mine.flatMap((request) => request.outputs).reduce((sum, weight) => sum + weight, 0);
    return { blocks: prompt + outputs, prefill: mine.reduce((sum, { prefill }) => sum + prefill, 0), requests: mine.length };
  }

  depth(rank: number, blocks: bigint[]): number {
    const live = this.live(rank);
    const miss = blocks.findIndex((block) => !live.has(block));
    return miss < 0 ? blocks.length : miss;
  }
}

/** Chains that share beginnings, as prompts do: block i of chain c is the same for all chains that agree up to i. */
const chain = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 6 }).map((choices) => {
  let hash = 0x9e37n;
  return choices.map((choice) => (hash = BigInt.asUintN(64, hash * 6_364_136_223_846_793_005n + BigInt(choice) + 1n)));
});
const ids = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f');
// Ranks beyond 32 and 64 make the bitsets wider while blocks are held.
const ranks = fc.constantFrom(0, 1, 2, 33, 70);
const step = fc.oneof(
  fc.record({ type: fc.constant('add' as const), id: ids, rank: ranks, blocks: chain, prefill: fc.nat(500) }),
  fc.record({ type: fc.constant('output' as const), id: ids, decay: fc.option(fc.constantFrom(0, 0.125, 0.5, 0.75), { nil: undefined }) }),
  fc.record({ type: fc.constant('done' as const), id: ids }),
  fc.record({ type: fc.constant('free' as const), id: ids }),
  fc.record({ type: fc.constant('wait' as const), ms: fc.nat(400) }),
);

test('after any script the totals are those of the naive model, and 0 when all is over', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), chain, (script, probe) => {
      let now = 0;
      const table = new RankTable();
      for (let rank = 0; rank <= 70; rank++) table.intern(BigInt(rank), 0);
      const ours = new ActiveSequences({ clock: () => now, ranks: table, expiryMs: 1000 });
      const naive = new NaiveLoads();
      const check = (): void => {
        const columns = ours.columns();
        const depths = new Uint32Array(71);
        ours.match(fromBigints(probe), 71, depths);
        for (let rank = 0; rank <= 70; rank++) {
          const { blocks, prefill, requests } = naive.of(rank);
          expect([columns.blocks[rank], columns.prefillTokens[rank], columns.requests[rank]]).toEqual([Math.round(blocks), prefill, requests]);
          expect(depths[rank]).toBe(naive.depth(rank, probe));
        }
      };
      ours.reach(71);
      for (const action of script) {
        if (action.type === 'wait') {
          now += action.ms;
          naive.expire(now, 1000);
          ours.expire();
        } else if (action.type === 'add') {
          const { id, rank, blocks, prefill } = action;
          const added = naive.add(id, rank, blocks, prefill, now);
          const add = (): void => ours.add({ id, rank, sequence: fromBigints(blocks), prefillTokens: prefill });
          if (added) add();
          else expect(add).toThrow('already exists');
        } else if (action.type === 'output') {
          naive.output(action.id, action.decay);
          ours.addOutputBlock(action.id, action.decay);
        } else if (action.type === 'done') {
          const request = naive.requests.get(action.id);
          if (request !== undefined) request.prefill = 0;
          expect(ours.prefillDone(action.id)).toBe(request !== undefined);
        } else {
          expect(ours.free(action.id)).toBe(naive.requests.has(action.id));
          naive.free(action.id);
        }
        check();
      }
      now += 2000;
      naive.expire(now, 1000);
      expect(ours.expire()).toBeLessThanOrEqual(6);
      check();
      expect([ours.size, ours.distinctBlocks]).toEqual([0, 0]);
    }),
    { numRuns: 200 },
  );
});

const table = (): RankTable => {
  const made = new RankTable();
  made.intern(1n, 0);
  made.intern(2n, 0);
  return made;
};
const empty: SequenceHashes = new Uint32Array(0);

test('a request that is booked twice is refused in the words of the real router', () => {
  const loads = new ActiveSequences({ clock: () => 0, ranks: table() });
  loads.add({ id: 'r1', rank: 0, sequence: empty, prefillTokens: 1 });
  expect(() => loads.add({ id: 'r1', rank: 1, sequence: empty, prefillTokens: 1 })).toThrow(
    'Request r1 already exists (assigned to worker WorkerWithDpRank { worker_id: 1, dp_rank: 0 })',
  );
  expect(loads.size).toBe(1);
});

test('the oldest prompt of a rank shrinks over its predicted time, the others wait for their turn', () => {
  let now = 0;
  const loads = new ActiveSequences({ clock: () => now, ranks: table() });
  const prefill = (): number | undefined => loads.columns().prefillTokens[0];
  loads.add({ id: 'first', rank: 0, sequence: empty, prefillTokens: 100, expectedPrefillMs: 1000 });
  loads.add({ id: 'second', rank: 0, sequence: empty, prefillTokens: 40, expectedPrefillMs: 400 });
  expect(prefill()).toBe(140);
  now = 333;
  expect(prefill()).toBe(40 + Math.ceil(100 * (1 - 0.333)));
  now = 5000;
  expect(prefill()).toBe(40);
  loads.prefillDone('first');
  expect(prefill()).toBe(40);
  now = 5100;
  expect(prefill()).toBe(30);
  loads.free('second');
  expect(prefill()).toBe(0);
});

test('requests that nobody ends stop counting after the limit, at the latest when the next one comes', () => {
  let now = 0;
  const loads = new ActiveSequences({ clock: () => now, ranks: table(), expiryMs: 8000 });
  loads.add({ id: 'lost', rank: 0, sequence: fromBigints([7n]), prefillTokens: 5 });
  now = 8000;
  loads.add({ id: 'at the limit', rank: 1, sequence: empty, prefillTokens: 0 });
  expect(loads.has('lost')).toBe(true);
  now = 8001;
  loads.add({ id: 'next', rank: 1, sequence: empty, prefillTokens: 0 });
  expect([loads.has('lost'), loads.distinctBlocks, loads.columns().prefillTokens[0]]).toEqual([false, 0, 0]);
});

test('all requests of a rank go with its worker', () => {
  const loads = new ActiveSequences({ clock: () => 0, ranks: table() });
  loads.add({ id: 'a', rank: 0, sequence: fromBigints([1n, 2n]), prefillTokens: 5 });
  loads.add({ id: 'b', rank: 1, sequence: fromBigints([1n]), prefillTokens: 6 });
  loads.add({ id: 'c', rank: 0, sequence: fromBigints([1n]), prefillTokens: 7 });
  expect(loads.freeRank(0)).toEqual(['a', 'c']);
  expect([...loads.columns().prefillTokens.subarray(0, 2)]).toEqual([0, 6]);
  expect(loads.distinctBlocks).toBe(1);
});

test('output blocks come as the answer grows, lighter as its end comes nearer', () => {
  const added: (number | undefined)[] = [];
  const growth = outputGrowth({ isl: 30, blockSize: 16, expectedTokens: 64 }, (decay) => added.push(decay));
  growth.grow(2);
  expect(added).toEqual([]);
  growth.grow(1);
  expect(added).toEqual([1 - 3 / 64]);
  growth.grow(61);
  expect(added).toEqual([1 - 3 / 64, 0, 0, 0]);
  const plain: (number | undefined)[] = [];
  outputGrowth({ isl: 16, blockSize: 16 }, (decay) => plain.push(decay)).grow(1);
  expect(plain).toEqual([undefined]);
});

test('hashes keep all 64 bits', () => {
  const hashes = [0n, 1n, 0xffff_ffffn, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn];
  expect(toBigints(fromBigints(hashes))).toEqual(hashes);
});
