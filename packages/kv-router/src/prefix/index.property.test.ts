import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Core, outcomeTexts } from '../core/core.ts';
import { dumpChains } from '../core/dump.ts';
import { type ModelBlock, type ModelChain, ModelTree } from './testing/model-tree.ts';

type Step =
  | { type: 'stored'; rank: number; parent: number | undefined; blocks: readonly (readonly [number, number])[] }
  | { type: 'removed'; rank: number; hashes: readonly number[] }
  | { type: 'cleared'; rank: number }
  | { type: 'find'; sequence: readonly number[]; early: boolean };

const ranks = 7;

/** Steps over few tokens and hashes, so that chains meet, hashes repeat and engines disagree. */
function anyStep(tokens: number, hashes: number): fc.Arbitrary<Step> {
  const rank = fc.nat(ranks - 1);
  const token = fc.nat(tokens - 1);
  const hash = fc.nat(hashes - 1);
  const blocks = fc.array(fc.tuple(token, hash), { maxLength: 9, size: 'max' });
  return fc.oneof(
    { weight: 5, arbitrary: fc.record({ type: fc.constant('stored' as const), rank, parent: fc.option(hash, { nil: undefined }), blocks }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('removed' as const), rank, hashes: fc.array(hash, { maxLength: 9, size: 'max' }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('cleared' as const), rank }) },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('find' as const), sequence: fc.array(token, { maxLength: 12 }), early: fc.boolean() }) },
  );
}

const words = (numbers: readonly number[]): BigUint64Array => BigUint64Array.from(numbers, (n) => BigInt(n) + 1n);

/** As chains of one rank each, in one order. */
function chainTexts(chains: Iterable<ModelChain>): string[] {
  return Array.from(
    chains,
    ({ rank, parent, blocks }) => `${rank} ${parent} ${blocks.map(({ tokens, block }) => `${tokens}/${block}`).join(' ')}`,
  ).toSorted();
}

/** Block by block: how chains are cut depends on the order of events. */
const blockTexts = (chains: Iterable<ModelChain>): string[] =>
  Array.from(chains)
    .flatMap(({ rank, parent, blocks }) => blocks.map(({ tokens, block }, i) => `${rank} ${blocks[i - 1]?.block ?? parent} ${tokens}/${block}`))
    .toSorted();

function* coreChains(core: Core): Generator<ModelChain> {
  for (const { parent, tokens, blocks, holders } of dumpChains(core)) {
    for (let i = 0; i < holders.length; i += 2) {
      const held = Array.from(blocks.subarray(0, holders[i + 1]), (block, j) => ({ tokens: tokens[j] ?? 0n, block }));
      yield { rank: holders[i] ?? 0, parent, blocks: held };
    }
  }
}

function scoresOf(core: Core, sequence: BigUint64Array, earlyExit: boolean): Map<number, number> {
  const pairs = core.find(sequence, earlyExit);
  return new Map(Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i] ?? 0, pairs[2 * i + 1] ?? 0]));
}

const sorted = (scores: Map<number, number>): [number, number][] => [...scores].toSorted(([a], [b]) => a - b);

function newCore(shortLength: number): Core {
  const core = new Core();
  core.wasm.setShortLength(shortLength);
  for (let rank = 0; rank < ranks; rank++) core.bindRank(rank, BigInt(rank), 0);
  return core;
}

function run(core: Core, model: ModelTree, step: Step): void {
  if (step.type === 'find') {
    const sequence = words(step.sequence);
    expect(sorted(scoresOf(core, sequence, step.early))).toEqual(sorted(model.find([...sequence], step.early)));
    return;
  }
  let result = 0;
  let wanted = 'ok';
  if (step.type === 'stored') {
    const tokens = words(step.blocks.map(([token]) => token));
    const blocks = words(step.blocks.map(([, hash]) => hash));
    const parent = step.parent === undefined ? undefined : BigInt(step.parent) + 1n;
    const list: ModelBlock[] = Array.from(tokens, (token, i) => ({ tokens: token, block: blocks[i] ?? 0n }));
    result = core.store(0, step.rank, parent, { tokens, blocks });
    wanted = model.stored(step.rank, parent, list);
  } else if (step.type === 'removed') {
    const hashes = words(step.hashes);
    result = core.remove(0, step.rank, hashes);
    wanted = model.removed(step.rank, [...hashes]);
  } else {
    core.clearRank(step.rank);
    model.cleared(step.rank);
  }
  expect([step, outcomeTexts[result] || 'ok']).toEqual([step, wanted]);
}

function expectEmpty(core: Core): void {
  for (let rank = 0; rank < ranks; rank++) core.forgetRank(rank);
  const { nodes, blocks, lowerBlocks } = core.counts();
  expect([nodes, blocks, lowerBlocks]).toEqual([1, 0, 0]);
}

describe.each([
  ['hashes that engines disagree about', 3, 12, 32],
  ['the same, positions always by table', 3, 12, 0],
  ['few repeated hashes', 2, 60, 4],
])('any script: %s', (_name, tokens, hashes, shortLength) => {
  test('gives the results, scores and dump of the model, and nothing is left once all ranks are forgotten', () => {
    fc.assert(
      fc.property(fc.array(anyStep(tokens, hashes), { maxLength: 60, size: 'max' }), (script) => {
        const core = newCore(shortLength);
        const model = new ModelTree();
        for (const step of script) run(core, model, step);
        expect(chainTexts(coreChains(core))).toEqual(chainTexts(model.dump()));
        expectEmpty(core);
      }),
      { numRuns: 250 },
    );
  });
});

/** Engines as they should be: a prompt is a path through a small tree, its hashes are those of the path, and leaves go first. */
const wellBehaved = fc.array(
  fc.record({
    rank: fc.nat(ranks - 1),
    remove: fc.integer({ min: 0, max: 3 }).map((n) => n === 0),
    path: fc.array(fc.nat(2), { minLength: 1, maxLength: 10 }),
  }),
  { maxLength: 40, size: 'max' },
);

const pathHash = (path: readonly number[]): bigint => path.reduce((hash, step) => hash * 5n + BigInt(step) + 1n, 7n);

test('a dump of well-behaved engines rebuilds an index that answers the same and holds the same blocks', () => {
  fc.assert(
    fc.property(wellBehaved, (script) => {
      const core = newCore(32);
      const held = Array.from({ length: ranks }, () => new Set<string>());
      for (const { rank, remove, path } of script) {
        const mine = held[rank]!;
        const prefixes = path.map((_, i) => path.slice(0, i + 1));
        if (remove) {
          const leaves = [...mine].filter((leaf) => !mine.has(`${leaf},0`) && !mine.has(`${leaf},1`) && !mine.has(`${leaf},2`));
          const leaf = leaves[path.length % Math.max(1, leaves.length)];
          if (leaf === undefined) continue;
          mine.delete(leaf);
          expect(core.remove(0, rank, BigUint64Array.of(pathHash(leaf.split(',').map(Number))))).toBe(0);
        } else {
          prefixes.forEach((prefix) => mine.add(prefix.join(',')));
          const blocks = BigUint64Array.from(prefixes, pathHash);
          expect(core.store(0, rank, undefined, { tokens: words(path), blocks })).toBe(0);
        }
      }
      const chains = [...coreChains(core)];
      const rebuilt = newCore(32);
      for (const { rank, parent, blocks } of chains) {
        const result = rebuilt.store(0, rank, parent, {
          tokens: BigUint64Array.from(blocks, ({ tokens }) => tokens),
          blocks: BigUint64Array.from(blocks, ({ block }) => block),
        });
        expect(result).toBe(0);
      }
      expect(blockTexts(coreChains(rebuilt))).toEqual(blockTexts(chains));
      for (const { path } of script) {
        const scores = sorted(scoresOf(core, words(path), false));
        expect(sorted(scoresOf(rebuilt, words(path), false))).toEqual(scores);
        const depth = (rank: number): number => path.filter((_, i) => held[rank]!.has(path.slice(0, i + 1).join(','))).length;
        expect(scores).toEqual(held.flatMap((_, rank) => (depth(rank) > 0 ? [[rank, depth(rank)]] : [])));
      }
      expectEmpty(core);
      expectEmpty(rebuilt);
    }),
    { numRuns: 200 },
  );
});
