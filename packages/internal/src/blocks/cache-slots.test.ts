import { mkdtemp, readdir, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlockManager } from './block-manager.ts';
import { CacheSlots } from './cache-slots.ts';

const shape = { layers: 1, pageSize: 4, innerDim: 2, dataType: 'u8' } as const;
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocks-'));
});
afterEach(() => rm(folder, { recursive: true }));
const open = (): Promise<BlockManager> => BlockManager.open({ shape, host: { blocks: 6 }, disk: { blocks: 12, folder, filter: 'none' } });
const tokens = (count: number, from = 0): number[] => Array.from({ length: count }, (_, at) => from + at);

test('a request computes its prompt, grows by tokens, and leaves what the next one finds', async () => {
  await using manager = await open();
  const slots = new CacheSlots(manager);
  expect(slots.createSlot({ requestId: 'a' }, tokens(10))).toEqual(manager.tokenBlocks(tokens(10)).map(({ sequenceHash }) => sequenceHash));
  expect([slots.hasSlot('a'), slots.hasSlot('b'), slots.getComputedBlocks('a')]).toEqual([true, false, []]);
  expect(slots.getNumNewMatchedTokens('a', 10, 0)).toEqual([0, false]);
  expect(slots.allocateSlots({ requestId: 'a', newTokens: 10 })).toEqual([0, 1, 2]);
  expect([slots.usage(), slots.numComputedTokens('a')]).toEqual([0.5, 0]);
  expect(slots.allocateSlots({ requestId: 'a', tokensToAppend: [10], computedTokens: 10, newTokens: 1 })).toEqual([]);
  expect(slots.allocateSlots({ requestId: 'a', tokensToAppend: [11, 12], computedTokens: 11, newTokens: 2 })).toEqual([3]);
  expect(slots.numComputedTokens('a')).toBe(11);
  expect(slots.allocateSlots({ requestId: 'a', newTokens: 1, computedTokens: 12, lookaheadBlocks: 9 })).toBeNull();
  expect(slots.getBlockIds('a')).toEqual([0, 1, 2, 3]);

  slots.createSlot({ requestId: 'b' }, tokens(8));
  // The whole prompt is cached, and yet its last block is computed again: sampling needs a token.
  expect(slots.getComputedBlocks('b')).toEqual([0]);
  expect(slots.numComputedTokens('b')).toBe(4);
  expect(slots.resetPrefixCache()).toBe(false);
  slots.free('a');
  slots.freeBlockHashes('b');
  expect([slots.usage(), slots.hasSlot('a'), slots.hasSlot('b'), slots.getBlockIds('a')]).toEqual([0, true, false, []]);
  await manager.settled();
  const told = slots.takeEvents().flatMap(({ tier, change }) => (change.type === 'stored' ? [`${tier} ${change.blocks.length}`] : []));
  expect(told.toSorted()).toEqual(['disk 1', 'disk 1', 'host_pinned 1', 'host_pinned 1']);
  expect(slots.takeEvents()).toEqual([]);
  expect([slots.resetPrefixCache(), manager.host?.status.empty]).toEqual([true, 6]);
});

test('what the disk holds of a prompt is brought into the blocks of the request', async () => {
  await using manager = await open();
  const slots = new CacheSlots(manager);
  slots.createSlot({ requestId: 'a', salt: 's' }, tokens(17));
  slots.allocateSlots({ requestId: 'a', newTokens: 17 });
  slots.allocateSlots({ requestId: 'a', computedTokens: 17, newTokens: 0 });
  slots.freeBlockHashes('a');
  await manager.settled();
  manager.host?.resetBlocks(
    manager
      .tokenBlocks(tokens(17), { salt: 's' })
      .slice(1)
      .map(({ sequenceHash }) => sequenceHash),
  );

  slots.createSlot({ requestId: 'b', salt: 's' }, tokens(17));
  expect(slots.getComputedBlocks('b').length).toBe(1);
  expect(slots.getNumNewMatchedTokens('b', 17, 4)).toEqual([12, true]);
  expect(slots.allocateSlots({ requestId: 'b', newTokens: 13 })?.length).toBe(4);
  await slots.triggerOnboard('b');
  expect(slots.numComputedTokens('b')).toBe(16);
  expect(manager.host?.match(manager.tokenBlocks(tokens(17), { salt: 's' }).map(({ sequenceHash }) => sequenceHash)).length).toBe(4);
  slots.createSlot({ requestId: 'other' }, tokens(17));
  expect(slots.getNumNewMatchedTokens('other', 17, 0)).toEqual([0, false]);
});

test('blocks whose bytes are gone are computed again by the next request', async () => {
  await using manager = await open();
  const slots = new CacheSlots(manager);
  slots.createSlot({ requestId: 'a' }, tokens(9));
  slots.allocateSlots({ requestId: 'a', newTokens: 9 });
  slots.allocateSlots({ requestId: 'a', computedTokens: 9, newTokens: 0 });
  slots.freeBlockHashes('a');
  await manager.settled();
  manager.host?.reset();
  const [name = ''] = await readdir(folder);
  await truncate(join(folder, name), 0);
  slots.createSlot({ requestId: 'b' }, tokens(9));
  expect(slots.getNumNewMatchedTokens('b', 9, 0)).toEqual([8, true]);
  expect(slots.allocateSlots({ requestId: 'b', newTokens: 9 })?.length).toBe(3);
  await expect(slots.triggerOnboard('b')).rejects.toMatchObject({ code: 'unavailable' });
  expect([slots.numComputedTokens('b'), slots.getBlockIds('b').length]).toEqual([0, 3]);
  slots.free('b');
  expect(manager.disk?.status).toEqual({ active: 0, inactive: 0, empty: 12 });
  expect(manager.host?.status).toEqual({ active: 0, inactive: 0, empty: 6 });
  expect(slots.getNumNewMatchedTokens('b', 9, 0)).toEqual([0, false]);
});

test('steps that cannot be are refused and change nothing', async () => {
  await using manager = await open();
  const slots = new CacheSlots(manager);
  slots.createSlot({ requestId: 'a' }, tokens(6));
  expect(() => slots.createSlot({ requestId: 'a' }, [1])).toThrow("request 'a' has a slot already");
  expect(() => slots.getBlockIds('x')).toThrow(expect.objectContaining({ code: 'not_found' }));
  expect(() => slots.getNumNewMatchedTokens('a', 7, 0)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  const wrong = [{ newTokens: -1 }, { newTokens: 1, computedTokens: 7 }, { newTokens: 1, computedTokens: 4 }, { newTokens: 1, tokensToAppend: [-5] }];
  for (const update of wrong)
    expect(() => slots.allocateSlots({ requestId: 'a', ...update })).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  expect([slots.getBlockIds('a'), manager.host?.status.empty, slots.numComputedTokens('a')]).toEqual([[], 6, 0]);
});
