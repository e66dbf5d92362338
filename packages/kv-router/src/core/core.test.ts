import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Core, eventKind, outcome } from './core.ts';
import { compileCore, coreFile } from './testing/build-core.ts';

const words = (...numbers: readonly (number | bigint)[]): BigUint64Array => BigUint64Array.from(numbers, BigInt);
const run = (first: number, n: number): BigUint64Array => BigUint64Array.from({ length: n }, (_, i) => BigInt(first + i));

function newCore(options: ConstructorParameters<typeof Core>[0] = {}, ranks = 4): Core {
  const core = new Core(options);
  for (let rank = 0; rank < ranks; rank++) core.bindRank(rank, BigInt(100 + rank), rank % 2);
  return core;
}

/** Stores a chain under its own hashes. */
const store = (core: Core, rank: number, chain: BigUint64Array, parent?: bigint): number =>
  core.store(0, rank, parent, { tokens: chain, blocks: chain });
const score = (core: Core, chain: BigUint64Array): Record<number, number> => {
  const pairs = core.find(chain);
  return Object.fromEntries(Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i], pairs[2 * i + 1]]));
};

test('the compiled module is that of the sources, byte by byte', { timeout: 120_000 }, async () => {
  expect(readFileSync(new URL('./core.wasm.ts', import.meta.url), 'utf8')).toBe(coreFile(await compileCore()));
});

describe('ranks', () => {
  test('more than a thousand ranks share blocks, and each has its own depth', () => {
    const core = newCore({}, 3_000);
    for (let rank = 0; rank < 3_000; rank++) expect(store(core, rank, run(1, 1 + (rank % 50)))).toBe(outcome.ok);
    const scores = score(core, run(1, 50));
    for (let rank = 0; rank < 3_000; rank++) expect(scores[rank]).toBe(1 + (rank % 50));
    for (let rank = 0; rank < 3_000; rank++) core.forgetRank(rank);
    expect(core.counts()).toMatchObject({ nodes: 1, blocks: 0 });
  });

  test('a number that goes to another rank brings nothing along, not even a block that was stored in two places', () => {
    const core = newCore();
    core.store(0, 0, undefined, { tokens: words(1, 2), blocks: words(7, 8) });
    core.store(0, 0, undefined, { tokens: words(3, 4), blocks: words(7, 8) });
    core.clearRank(0);
    // As in the real index, the first place is not found when the rank is cleared.
    expect(score(core, words(1, 2))).toEqual({ 0: 2 });
    core.forgetRank(0);
    core.bindRank(0, 555n, 0);
    expect(score(core, words(1, 2))).toEqual({});
    expect(core.counts()).toMatchObject({ nodes: 1, blocks: 0 });
  });

  test('65,536 ranks and no more', () => {
    const core = new Core();
    core.bindRank(65_535, 1n, 0);
    store(core, 65_535, run(1, 3));
    expect(score(core, run(1, 3))).toEqual({ 65_535: 3 });
    expect(() => core.bindRank(65_536, 2n, 0)).toThrow('no room for rank 65536');
  });
});

describe('under a cap', () => {
  test('what was stored or matched least recently goes first', () => {
    const core = newCore({ maxBlocks: 300 });
    for (let i = 0; i < 3; i++) store(core, 0, run(1_000 * (i + 1), 100));
    score(core, run(1_000, 100));
    store(core, 1, run(9_000, 100));
    expect([1_000, 2_000, 3_000, 9_000].map((first) => Object.values(score(core, run(first, 100))))).toEqual([[100], [], [100], [100]]);
    expect(core.counts()).toMatchObject({ blocks: 300, evictedBlocks: 100 });
  });

  test('leaves go before what they hang on', () => {
    const core = newCore({ maxBlocks: 40 });
    store(core, 0, run(1, 10));
    store(core, 0, run(100, 10), 10n);
    store(core, 0, run(200, 10), 10n);
    store(core, 1, run(300, 15));
    expect(score(core, BigUint64Array.from([...run(1, 10), ...run(100, 10)]))).toEqual({ 0: 10 });
    expect(score(core, BigUint64Array.from([...run(1, 10), ...run(200, 10)]))).toEqual({ 0: 20 });
    expect(score(core, run(300, 15))).toEqual({ 1: 15 });
  });

  test('a chain that is being continued does not make room for itself', () => {
    const core = newCore({ maxBlocks: 30 });
    store(core, 0, run(1, 10));
    store(core, 0, run(500, 20));
    expect(store(core, 0, run(11, 10), 10n)).toBe(outcome.ok);
    expect(score(core, run(1, 20))).toEqual({ 0: 20 });
    expect(score(core, run(500, 20))).toEqual({});
  });

  test('blocks under hashes that differ from the edge go too, though an eviction cannot find them', () => {
    const core = newCore({ maxBlocks: 2_000 });
    for (let i = 0; i < 400; i++) {
      const tokens = run(i * 100 + 1, 50);
      for (let rank = 0; rank < 4; rank++) {
        const blocks = tokens.map((token) => token * 8n + BigInt(rank));
        expect(core.store(0, rank, undefined, { tokens, blocks })).toBe(outcome.ok);
      }
    }
    const { blocks, bytes } = core.counts();
    // What is garbage stays until its segment is crowded.
    expect(blocks).toBeLessThan(6_000);
    expect(bytes).toBeLessThan(600_000);
    expect(score(core, run(39_901, 50))).toEqual({ 0: 50, 1: 50, 2: 50, 3: 50 });
    for (let rank = 0; rank < 4; rank++) core.forgetRank(rank);
    expect(core.counts()).toMatchObject({ nodes: 1, blocks: 0 });
  });

  test('an event larger than the cap is refused and changes nothing', () => {
    const core = newCore({ maxBlocks: 50 });
    store(core, 0, run(1, 10));
    expect(store(core, 0, run(100, 51))).toBe(outcome.full);
    expect(core.counts()).toMatchObject({ blocks: 10, refused: 1 });
  });

  test('a cap in bytes holds, on lower tiers as well', () => {
    const core = newCore({ maxBytes: 2_000_000 });
    for (let i = 0; i < 3_000; i++) {
      const chain = run(i * 1_000 + 1, 64);
      expect(core.store(i % 3, i % 4, undefined, { tokens: chain, blocks: chain })).toBe(outcome.ok);
      expect(core.counts().bytes).toBeLessThan(2_100_000);
    }
    expect(core.counts().evictedBlocks).toBeGreaterThan(100_000);
    for (let rank = 0; rank < 4; rank++) core.forgetRank(rank);
    expect(core.counts()).toMatchObject({ nodes: 1, blocks: 0, lowerBlocks: 0 });
  });

  test('any script keeps to the cap, and afterwards nothing is left', () => {
    const step = fc.record({
      op: fc.nat(9),
      rank: fc.nat(3),
      tier: fc.nat(3),
      path: fc.array(fc.nat(2), { minLength: 1, maxLength: 12, size: 'max' }),
      salt: fc.nat(3),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80, size: 'max' }), (script) => {
        const core = newCore({ maxBlocks: 40 });
        for (const { op, rank, tier, path, salt } of script) {
          const tokens = words(...path);
          const blocks = BigUint64Array.from(path, (_, i) =>
            path.slice(0, i + 1).reduce((hash, at) => hash * 3n + BigInt(at), BigInt(1 + (salt === 0 ? rank : 0))),
          );
          if (op < 6) core.store(tier, rank, undefined, { tokens, blocks });
          else if (op < 8) core.remove(tier, rank, blocks.reverse());
          else if (op < 9) core.find(tokens);
          else core.clearRank(rank);
          expect(core.wasm.heldBlockCount()).toBeLessThanOrEqual(40);
        }
        for (let rank = 0; rank < 4; rank++) core.forgetRank(rank);
        expect(core.counts()).toMatchObject({ nodes: 1, blocks: 0, lowerBlocks: 0 });
      }),
      { numRuns: 300 },
    );
  });
});

test('memory that has run out is an answer; removals still work, and so do stores once there is room again', () => {
  const core = newCore({ memoryBytes: 4_000_000, maxBytes: 4_000_000 });
  let stored = 0;
  while (store(core, stored % 4, run(stored * 1_000 + 1, 200)) === outcome.ok) stored++;
  expect(stored).toBeGreaterThan(20);
  expect(core.counts().memoryBytes).toBeLessThan(9_000_000);
  expect(score(core, run(1, 200))).toEqual({ 0: 200 });
  for (let i = 0; i < stored; i++) expect(core.remove(0, i % 4, run(i * 1_000 + 1, 200).reverse())).toBe(outcome.ok);
  for (let rank = 0; rank < 4; rank++) core.clearRank(rank);
  expect(store(core, 0, run(5, 200))).toBe(outcome.ok);
  expect(core.counts()).toMatchObject({ blocks: 200, refused: 1 });
});

test('caps must be above 0', () => {
  expect(() => new Core({ maxBlocks: 0 })).toThrow('must be above 0');
  expect(() => new Core({ maxBytes: Number.NaN })).toThrow('must be above 0');
});

describe('lower tiers', () => {
  const chain = (core: Core, tier: number, rank: number, first: number, n: number, parent?: bigint): number =>
    core.store(tier, rank, parent, { tokens: run(first, n), blocks: run(first, n) });
  const tiers = (core: Core, hashes: BigUint64Array): number[][] => {
    core.findTiersAt(core.writeHashes(hashes), hashes.length);
    return [0, 1, 2, 3].map((tier) => [...core.tier(tier)]);
  };

  test('each tier goes on where the one before it ended', () => {
    const core = newCore();
    chain(core, 0, 0, 1, 4);
    chain(core, 1, 0, 5, 3, 4n);
    chain(core, 3, 0, 8, 2, 7n);
    chain(core, 1, 1, 1, 2);
    chain(core, 2, 1, 3, 5, 2n);
    chain(core, 2, 2, 2, 5, 1n);
    expect(tiers(core, run(1, 20))).toEqual([
      [4, 0, 0, 0],
      [3, 2, 0, 0],
      [0, 5, 0, 0],
      [2, 0, 0, 0],
    ]);
    expect(tiers(core, new BigUint64Array(0))).toEqual([0, 1, 2, 3].map(() => [0, 0, 0, 0]));
  });

  test('a store stops at the first contradiction, a removal at the first unknown block', () => {
    const core = newCore();
    chain(core, 1, 0, 1, 3);
    core.store(1, 1, undefined, { tokens: run(1, 3), blocks: words(1, 77, 3) });
    expect(core.counts().lowerBlocks).toBe(4);
    expect(core.remove(1, 0, words(3, 99, 2))).toBe(outcome.noBlock);
    expect(tiers(core, run(1, 3))[1]).toEqual([2, 1, 0, 0]);
    core.clearRank(0);
    expect(tiers(core, run(1, 3))[1]).toEqual([0, 1, 0, 0]);
    expect(core.wasm.edgeCount()).toBe(1);
  });
});

describe('decoding', () => {
  const stored = '{"event_id":4,"data":{"stored":{"parent_hash":null,"blocks":[{"block_hash":18446744073709551615,"tokens_hash":3}]}}}';
  const decode = (text: string): Record<string, unknown>[] => {
    const core = newCore();
    const count = core.decode(new TextEncoder().encode(text), 'json');
    return Array.from({ length: count }, (_, i) => ({ ...core.event(i) }));
  };

  test.each([
    [
      'in any order, with space and more',
      '\n{ "dp_rank" : 3, "x":[{"y":"\\"}"}, -1.5e3], "data" : { "removed" : {"block_hashes":[ 1 , 2 ]} } ,"event_id":9}\t',
      { kind: 2, dpRank: 3, eventId: 9n, blocks: 2 },
    ],
    ['a plain one', stored, { kind: 1, dpRank: 0, eventId: 4n, blocks: 1, tier: 0 }],
    ['cleared', '{"event_id":0,"data":"cleared"}', { kind: 3 }],
    [
      'a router event',
      `{"worker_id":18446744073709551615,"storage_tier":"disk","residency_domain":"worker","event":${stored}}`,
      { kind: 1, tier: 2, workerId: 18_446_744_073_709_551_615n, hasDomain: true },
    ],
    ['an unknown domain', `{"worker_id":1,"residency_domain":"moon","event":${stored}}`, { kind: 4 }],
    ['a null domain', `{"worker_id":1,"residency_domain":null,"event":${stored}}`, { kind: 4 }],
    [
      'blocks with media',
      '{"event_id":1,"data":{"stored":{"blocks":[{"tokens_hash":1,"mm_extra_info":{"mm_objects":[{"mm_hash":1,"offsets":[[0,1]]}]},"block_hash":2}]}}}',
      { kind: 1, blocks: 1 },
    ],
  ])('%s', (_name, text, wanted) => expect(decode(text)).toEqual([expect.objectContaining(wanted)]));

  test.each([
    '',
    ' ',
    'null',
    '{}',
    '[',
    '{"event_id":1}',
    '{"data":"cleared"}',
    '{"event_id":-1,"data":"cleared"}',
    '{"event_id":1.0,"data":"cleared"}',
    '{"event_id":01,"data":"cleared"}',
    '{"event_id":18446744073709551616,"data":"cleared"}',
    '{"event_id":1,"data":"gone"}',
    '{"event_id":1,"data":{"stored":{}}}',
    '{"event_id":1,"data":{"removed":{"block_hashes":["1"]}}}',
    '{"event_id":1,"data":{"stored":{"blocks":[{"block_hash":1}]}}}',
    '{"event_id":1,"data":{"stored":{"blocks":[1]}}}',
    '{"event_id":1,"dp_rank":4294967296,"data":"cleared"}',
    '{"event_id":1,"data":"cleared"',
    '{"event_id":1,"data":"cleared"} x',
    '{"event_id":1 "data":"cleared"}',
    '{"worker_id":1,"storage_tier":"tape","event":{"event_id":1,"data":"cleared"}}',
    '{"event":{"event_id":1,"data":"cleared"}}',
    '{"event_id":1,"data":{"removed":{"block_hashes":[1]},"stored":{"blocks":[]}}}',
  ])('not an event: %s', (text) => expect(decode(text).map(({ kind }) => kind)).toContain(eventKind.malformed));

  test('one that is wrong does not spoil its neighbours', () => {
    expect(decode(`[${stored},{"event_id":"x","data":{"stored":{"blocks":[{"block_hash":1,"tokens_hash":2}]}}},7,${stored}]`)).toMatchObject([
      { kind: 1, blocks: 1 },
      { kind: 0, blocks: 0 },
      { kind: 0 },
      { kind: 1, blocks: 1 },
    ]);
  });

  test('any bytes decode to something, and any cut of a message', () => {
    const core = newCore();
    const message = new TextEncoder().encode(`[${stored},${stored}]`);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200, size: 'max' }), fc.constantFrom('json' as const, 'msgpack' as const), (bytes, format) => {
        const count = core.decode(bytes, format);
        for (let i = 0; i < count; i++) expect(Object.values(eventKind)).toContain(core.event(i).kind);
      }),
      { numRuns: 2_000 },
    );
    for (let n = 0; n < message.length; n++) {
      const count = core.decode(message.subarray(0, n), 'json');
      expect(Array.from({ length: count }, (_, i) => core.event(i).kind)).toContain(eventKind.malformed);
    }
  });
});
