import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KvChange, Tier } from '@dynamo/kv-router/internal';
import { expect, test } from 'vitest';
import type { BlockList } from './block-list.ts';
import type { Block } from './block.ts';
import { BlockManager } from './block-manager.ts';
import { FrequencyFilter } from './frequency-filter.ts';
import { draws, fill, isWhole, sequences } from './testing/content.ts';
import { NaiveTiers } from './testing/naive-tiers.ts';

const operations = 100_000;

test('100,000 random operations leave what the rules say, byte by byte', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'blocks-'));
  const seen: string[] = [];
  const hear = (tier: Tier, changes: readonly KvChange[]): void => {
    for (const change of changes) {
      if (change.type === 'stored') seen.push(...change.blocks.map(({ blockHash }) => `${tier} +${blockHash}`));
      if (change.type === 'removed') seen.push(...change.hashes.map((hash) => `${tier} -${hash}`));
    }
  };
  const shape = { layers: 2, pageSize: 4, innerDim: 4, dataType: 'u32' } as const;
  const filter = new FrequencyFilter({ now: () => 0 });
  await using manager = await BlockManager.open({ shape, host: { blocks: 12 }, disk: { blocks: 9, folder, filter }, events: hear });
  const { host, disk } = manager;
  if (host === undefined || disk === undefined) throw new Error('two tiers were asked for');
  const naive = new NaiveTiers(12, 9);
  const chains = sequences(4, 6, 5);
  const draw = draws(20_251);
  /** Handles that are held: taken blocks, and registered ones of both tiers. */
  let taken: Block[] = [];
  let held: Block[] = [];
  let checked = 0;
  let onboarded = 0;
  const one = <Item>(from: readonly Item[]): Item => from[draw(from.length)] as Item;
  const hold = (list: BlockList): void => {
    for (const block of list) {
      if (block.tier === 'host') {
        expect(isWhole(block)).toBe(true);
        checked++;
      }
      held.push(block);
    }
  };
  const naiveOf = (block: Block): NaiveTiers['host'] => (block.tier === 'host' ? naive.host : naive.disk);
  const giveBack = (): void => {
    for (let n = draw(6); n > 0 && held.length > 0; n--) {
      const [block] = held.splice(draw(held.length), 1) as [Block];
      block.release();
      naiveOf(block).release(block.id);
    }
  };
  const steps: (() => void | Promise<void>)[] = [
    function allocate() {
      const count = 1 + draw(3);
      const ids = naive.host.allocate(count);
      if (ids === undefined) return expect(() => host.allocate(count)).toThrow('Not enough blocks available');
      const list = host.allocate(count).toList();
      expect(list.map(({ id }) => id)).toEqual(ids);
      taken.push(...list);
    },
    function register() {
      const chain = one(chains);
      const from = draw(chain.length);
      const blocks = taken.splice(0, 1 + draw(Math.min(3, chain.length - from)));
      if (blocks.length === 0) return;
      const priority = draw(3);
      const ids = blocks.map((block, at) => {
        const content = chain[from + at] as (typeof chain)[number];
        fill(block, content.sequenceHash);
        block.applyTokenBlock(content);
        return [block.id, content.sequenceHash] as const;
      });
      const list = host.register(blocks, { priority });
      expect([...list].map(({ id }) => id)).toEqual(ids.map(([id, hash]) => naive.register(id, hash, priority)));
      hold(list);
    },
    giveBack,
    function drop() {
      const [block] = taken.splice(0, 1);
      if (block === undefined) return;
      block.release();
      naive.host.drop(block.id);
    },
    function match() {
      const tier = one([host, disk]);
      const chain = one(chains);
      const hashes = chain.slice(draw(chain.length)).map(({ sequenceHash }) => sequenceHash);
      const list = tier.match(hashes);
      expect([...list].map(({ id }) => id)).toEqual((tier === host ? naive.host : naive.disk).match(hashes));
      hold(list);
    },
    function touchOrForget() {
      const hashes = one(chains).map(({ sequenceHash }) => sequenceHash);
      const tier = one([host, disk]);
      const model = tier === host ? naive.host : naive.disk;
      if (draw(3) > 0) {
        tier.touch(hashes);
        model.touch(hashes);
      } else {
        tier.resetBlocks(hashes.slice(0, 2));
        model.resetBlocks(hashes.slice(0, 2));
      }
    },
    async function bringBack() {
      const chain = one(chains).slice(draw(3));
      const hashes = chain.map(({ sequenceHash }) => sequenceHash);
      using list = disk.match(hashes);
      const from = naive.disk.match(hashes);
      const priorities = from.map((id) => naive.disk.slots[id]?.priority ?? 0);
      const targets = naive.host.allocate(list.length);
      if (targets === undefined) await expect(manager.onboard(list)).rejects.toThrow('Not enough blocks available');
      else {
        const brought = await manager.onboard(list);
        expect([...brought].map(({ id }) => id)).toEqual(targets.map((id, at) => naive.register(id, hashes[at] as bigint, priorities[at] as number)));
        onboarded += brought.length;
        hold(brought);
      }
      for (const id of from.toReversed()) naive.disk.release(id);
    },
  ];
  for (let at = 0; at < operations; at++) {
    // Too many holders would leave nothing to evict.
    await (held.length + taken.length > 14 ? giveBack() : one(steps)());
    await manager.settled();
    naive.settle();
    if (JSON.stringify([host.status, disk.status, seen]) !== JSON.stringify([naive.host.status, naive.disk.status, naive.events]))
      expect([at, host.status, disk.status, seen]).toEqual([at, naive.host.status, naive.disk.status, naive.events]);
    seen.length = 0;
    naive.events.length = 0;
  }
  expect(checked).toBeGreaterThan(operations / 5);
  expect(onboarded).toBeGreaterThan(operations / 100);
  for (const block of [...taken, ...held]) block.release();
  taken = held = [];
  expect([host.status.active, disk.status.active]).toEqual([0, 0]);
  await manager[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
