import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Metrics } from '@dynamo/metrics';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlockList } from './block-list.ts';
import { BlockManager } from './block-manager.ts';
import type { TokenBlock } from './block-hasher.ts';
import type { BlockTier } from './block-tier.ts';
import { checksum, draws, fill, fillBytes, isWhole, sequences } from './testing/content.ts';
import { FakeDevice } from './testing/fake-device.ts';
import { tierSizes } from './tier-sizes.ts';

const shape = { layers: 2, pageSize: 4, innerDim: 8, dataType: 'u16' } as const;
const [chain = []] = sequences(4, 1, 12);
const hashesOf = (blocks: readonly TokenBlock[]): bigint[] => blocks.map(({ sequenceHash }) => sequenceHash);
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocks-'));
});
afterEach(async () => {
  // Whatever a test did, closing leaves no file.
  expect(await readdir(folder)).toEqual([]);
  await rm(folder, { recursive: true });
});

function store(tier: BlockTier | undefined, contents: readonly TokenBlock[], priority = 0): BlockList {
  if (tier === undefined) throw new Error('no such tier');
  const list = tier.allocate(contents.length);
  for (const [at, content] of contents.entries()) {
    if (tier.name === 'host') fill(list.at(at), content.sequenceHash);
    list.at(at).applyTokenBlock(content);
  }
  return tier.register(list, { priority });
}

test('bytes survive host to disk to host, after the host forgot them', async () => {
  await using manager = await BlockManager.open({ shape, host: { blocks: 4 }, disk: { blocks: 8, folder, filter: 'none' } });
  store(manager.host, chain.slice(0, 4))[Symbol.dispose]();
  await manager.settled();
  expect(manager.disk?.status).toEqual({ active: 0, inactive: 4, empty: 4 });
  manager.host?.reset();
  using matches = manager.match(hashesOf(chain));
  expect([matches.host.length, matches.disk.length]).toEqual([0, 4]);
  expect(() => matches.disk.at(0).data()).toThrow("not in this process's memory");
  using brought = await manager.onboard(matches.disk);
  expect([...brought].map((block) => [block.state, isWhole(block)])).toEqual(Array.from({ length: 4 }, () => ['registered', true]));
  expect(manager.host?.status).toEqual({ active: 4, inactive: 0, empty: 0 });
});

test('no block is torn while offloads, evictions and onboardings run at once', async () => {
  const manager = await BlockManager.open({ shape: { ...shape, innerDim: 512 }, host: { blocks: 10 }, disk: { blocks: 16, folder, filter: 'none' } });
  await using _ = manager;
  const chains = sequences(4, 8, 3);
  const draw = draws(7);
  let brought = 0;
  const lane = async (): Promise<void> => {
    for (let n = 0; n < 400; n++) {
      const contents = chains[draw(chains.length)] ?? [];
      using onDisk = manager.disk?.match(hashesOf(contents)) ?? new BlockList([]);
      try {
        using here = draw(2) === 0 || onDisk.length === 0 ? store(manager.host, contents, draw(3)) : await manager.onboard(onDisk);
        if (onDisk.length > 0) brought += here.length;
        await Promise.resolve();
        for (const block of here) expect(isWhole(block)).toBe(true);
      } catch (error) {
        expect(error).toMatchObject({ code: 'resource_exhausted' });
      }
      if (draw(8) === 0) await new Promise(setImmediate);
    }
  };
  await Promise.all([lane(), lane(), lane(), lane()]);
  await manager.settled();
  expect(brought).toBeGreaterThan(100);
  expect([manager.host?.status.active, manager.disk?.status.active]).toEqual([0, 0]);
});

test('the filter of the disk waits for a second offer', async () => {
  await using manager = await BlockManager.open({ shape, host: { blocks: 4 }, disk: { blocks: 8, folder } });
  for (const stored of [0, 2]) {
    store(manager.host, chain.slice(0, 2))[Symbol.dispose]();
    await manager.settled();
    expect(manager.disk?.status.inactive).toBe(stored);
    manager.host?.reset();
  }
});

test('the second copy of a block goes back, or is kept until its owner returns it', async () => {
  for (const keepDuplicates of [false, true]) {
    await using manager = await BlockManager.open({ shape, host: { blocks: 4 }, keepDuplicates });
    const first = store(manager.host, chain.slice(0, 1));
    const second = store(manager.host, chain.slice(0, 1));
    expect(second.at(0).id).toBe(keepDuplicates ? 1 : 0);
    expect(manager.host?.status.active).toBe(keepDuplicates ? 2 : 1);
    const third = second.at(0).share();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(manager.host?.status).toEqual({ active: 1, inactive: 0, empty: 3 });
    expect(isWhole(third)).toBe(true);
    third.release();
    expect(manager.host?.status).toEqual({ active: 0, inactive: 1, empty: 3 });
    expect(manager.host?.resetBlocks([1n, ...hashesOf(chain.slice(0, 1))])).toEqual({
      reset: hashesOf(chain.slice(0, 1)),
      notFound: [1n],
      notReset: [],
    });
  }
});

test('a device works through host memory of any layout to the disk and back', async () => {
  const layouts = ['contiguous', 'layers_outer_contiguous', 'layers_block_contiguous', undefined] as const;
  for (const layout of layouts) {
    const device = new FakeDevice();
    const host = layout === undefined ? {} : { host: { blocks: 4, layout } };
    const manager = await BlockManager.open({
      shape: { ...shape, outerDim: 2 },
      device: { blocks: 4, tier: device },
      ...host,
      disk: { blocks: 8, folder, filter: 'none' },
    });
    expect(device.name).toBe('fake-device');
    const list = await manager.allocateDeviceBlocks(3);
    for (const [at, block] of [...list].entries()) {
      fillBytes(device.bytes(block.id), chain[at]?.sequenceHash ?? 0n);
      block.applyTokenBlock(chain[at] as TokenBlock);
    }
    manager.device?.register(list, { priority: 5 })[Symbol.dispose]();
    await manager.settled();
    await manager.settled();
    // Without a host tier, blocks go from the device to disk directly.
    expect([manager.host?.status.inactive, manager.disk?.status.inactive]).toEqual([layout === undefined ? undefined : 3, 3]);
    manager.device?.reset();
    fillBytes(device.bytes(0), 0n);
    manager.host?.resetBlocks(hashesOf(chain.slice(2)));
    using matches = manager.match(hashesOf(chain));
    expect([matches.device.length, matches.host.length, matches.disk.length]).toEqual(layout === undefined ? [0, 0, 3] : [0, 2, 1]);
    const right = new Uint8Array(manager.blockBytes);
    for (const part of [matches.host, matches.disk]) {
      for (const block of await manager.onboard(part)) {
        fillBytes(right, block.content?.sequenceHash ?? 0n);
        expect(checksum(device.bytes(block.id))).toBe(checksum(right));
      }
    }
    await manager[Symbol.asyncDispose]();
    expect(device.disposed).toBe(true);
  }
});

test('onboarding refuses what does not fit, and leaves everything as it was', async () => {
  const device = new FakeDevice();
  await using manager = await BlockManager.open({ shape, device: { blocks: 2, tier: device }, host: { blocks: 4 } });
  using blocks = store(manager.host, chain.slice(0, 3));
  using targets = await manager.allocateDeviceBlocks(2);
  await expect(manager.onboard(blocks, { targets })).rejects.toThrow('Number of targets does not match number of blocks.');
  expect((await manager.onboard(new BlockList([]))).length).toBe(0);
  await expect(manager.onboard(blocks)).rejects.toThrow('Not enough blocks available, requested: 3, available: 0');
  await expect(manager.onboard(targets)).rejects.toThrow('need no onboarding');
  device.before = () => Promise.reject(new Error('the device is gone'));
  const two = new BlockList(blocks.toList().slice(0, 2));
  await expect(manager.onboard(two, { targets })).rejects.toThrow('the device is gone');
  expect([targets.at(0).state, targets.at(1).state, manager.device?.status.active, manager.host?.status.active]).toEqual(['reset', 'reset', 2, 3]);

  // A target that its owner returns meanwhile is not used by anyone before the copy into it has ended.
  const held = Promise.withResolvers<void>();
  device.before = () => held.promise;
  const moving = manager.onboard(two, { targets });
  targets[Symbol.dispose]();
  expect(manager.device?.status).toEqual({ active: 2, inactive: 0, empty: 0 });
  held.resolve();
  await expect(moving).rejects.toMatchObject({ code: 'cancelled' });
  expect(manager.device?.status).toEqual({ active: 0, inactive: 0, empty: 2 });
});

test('blocks of higher priority are copied first', async () => {
  const device = new FakeDevice();
  const copied: number[] = [];
  device.before = (_, slot) => Promise.resolve(void copied.push(slot));
  await using manager = await BlockManager.open({ shape, device: { blocks: 6, tier: device }, host: { blocks: 6 } });
  using all = new DisposableStack();
  for (const [at, priority] of [0, 2, 1, 2].entries()) all.use(store(manager.device, chain.slice(at, at + 1), priority));
  await manager.settled();
  expect(copied).toEqual([1, 3, 2, 0]);
});

test('metrics count copies, failures and finds under the real names', async () => {
  const metrics = new Metrics();
  const device = new FakeDevice();
  const manager = await BlockManager.open({
    shape,
    device: { blocks: 4, tier: device },
    host: { blocks: 4 },
    disk: { blocks: 4, folder, filter: 'none' },
    metrics,
  });
  store(manager.device, chain.slice(0, 4))[Symbol.dispose]();
  await manager.settled();
  manager.device?.reset();
  manager.host?.resetBlocks(hashesOf(chain.slice(2, 4)));
  using matches = manager.match(hashesOf(chain.slice(0, 8)));
  for (const part of [matches.host, matches.disk]) (await manager.onboard(part))[Symbol.dispose]();
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('kvbm_'));
  expect(lines).toEqual([
    'kvbm_disk_cache_hit_rate 0.25',
    'kvbm_host_cache_hit_rate 0.25',
    'kvbm_matched_tokens 16',
    'kvbm_offload_blocks_d2d 0',
    'kvbm_offload_blocks_d2h 4',
    'kvbm_offload_blocks_h2d 4',
    'kvbm_onboard_blocks_d2d 2',
    'kvbm_onboard_blocks_h2d 2',
  ]);
  await manager[Symbol.asyncDispose]();
  expect(await metrics.text()).not.toContain('kvbm_');
});

test('the sizes of tiers come from the real variables', () => {
  const bytes = { layers: 1, pageSize: 10, innerDim: 100, dataType: 'u8' } as const;
  expect(tierSizes({}, bytes)).toEqual({});
  expect(tierSizes({ DYN_KVBM_CPU_CACHE_GB: '0.5', DYN_KVBM_DISK_CACHE_GB: '2' }, bytes)).toEqual({
    host: { blocks: 500_000 },
    disk: { blocks: 2_000_000, filter: 'frequency' },
  });
  const overridden = { DYN_KVBM_CPU_CACHE_GB: '1', DYN_KVBM_CPU_CACHE_OVERRIDE_NUM_BLOCKS: '7', DYN_KVBM_DISK_CACHE_OVERRIDE_NUM_BLOCKS: '9' };
  expect(tierSizes({ ...overridden, DYN_KVBM_DISABLE_DISK_OFFLOAD_FILTER: 'true' }, bytes)).toEqual({
    host: { blocks: 7 },
    disk: { blocks: 9, filter: 'none' },
  });
  expect(() => tierSizes({ DYN_KVBM_CPU_CACHE_GB: 'lots' }, bytes)).toThrow("DYN_KVBM_CPU_CACHE_GB must be a number, got 'lots'");
});
