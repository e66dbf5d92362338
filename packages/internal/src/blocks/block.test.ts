import { expect, test } from 'vitest';
import { BlockManager, type BlockManagerOptions } from './block-manager.ts';
import { type BlockTier, inside } from './block-tier.ts';
import type { HostLayout } from './layout.ts';

const shape = { layers: 3, pageSize: 4, innerDim: 2, outerDim: 2, dataType: 'u16' } as const;
const open = (more: Partial<BlockManagerOptions> = {}): Promise<BlockManager> => BlockManager.open({ shape, host: { blocks: 4 }, ...more });
const code = (name: string) => expect.objectContaining({ code: name });

test('a block goes from reset over partial and complete to registered, and no other way', async () => {
  await using manager = await open();
  using list = await manager.allocateHostBlocks(1);
  const block = list.at(0);
  expect(() => block.addToken(1)).toThrow('Block state is invalid: Block is not partial');
  expect(() => block.commit()).toThrow('Block state is invalid: Block is not partial');
  block.initSequence({ salt: 's' });
  expect(() => block.initSequence()).toThrow('Block state is invalid: Block is not reset');
  expect(block.addTokens([1, 2, 3])).toEqual([]);
  expect([block.tokenCount, block.remaining, block.pop(), block.tokenCount]).toEqual([3, 1, 3, 2]);
  expect(() => block.commit()).toThrow('misses 2 tokens');
  expect(() => block.addToken(-1)).toThrow(code('invalid_argument'));
  expect(block.addTokens([3, 4, 5, 6])).toEqual([5, 6]);
  expect(() => block.addToken(5)).toThrow('Block is full');
  expect(() => manager.host?.register(list)).toThrow('Block is not complete');
  expect(block.commit()).toEqual(manager.tokenBlocks([1, 2, 3, 4], { salt: 's' })[0]);
  expect(() => block.addToken(1)).toThrow('Block is not partial');
  const registered = manager.host?.register(list).at(0);
  expect([block.state, registered?.state, registered?.remaining]).toEqual(['returned', 'registered', 0]);
  expect(() => registered?.applyTokenBlock(manager.tokenBlocks([1, 2, 3, 4])[0] as never)).toThrow('Block is not reset');
  expect(() => block.data()).toThrow('block 0 was returned already');
});

test('blocks are lists of layers over the same bytes, in every layout', async () => {
  for (const layout of ['contiguous', 'layers_outer_contiguous', 'layers_block_contiguous'] satisfies HostLayout[]) {
    await using manager = await open({ host: { blocks: 3, layout } });
    using list = await manager.allocateHostBlocks(3);
    expect([list.length, [...list].length, list.toList().length, list.at(-1).id]).toEqual([3, 3, 3, 2]);
    expect(() => list.at(3)).toThrow(code('invalid_argument'));
    const block = list.at(1);
    expect([block.length, [...block].length, block.toList().length]).toEqual([3, 3, 3]);
    expect(() => block.at(3)).toThrow(code('invalid_argument'));
    for (const [at, layer] of block.toList().entries()) {
      const view = layer.toTensorView();
      expect(view).toMatchObject({ shape: [1, 1, 2, 4, 2], dtype: 'u16', device: { type: 'cpu', code: 1, id: 0 } });
      expect(view.buffer).toBeInstanceOf(SharedArrayBuffer);
      const numbers = new Uint16Array(view.buffer, view.byteOffset);
      for (let outer = 0; outer < 2; outer++)
        for (let n = 0; n < 8; n++) numbers[outer * (view.strides[2] as number) + n] = 100 * at + 10 * outer + n;
    }
    if (layout === 'contiguous') {
      const view = block.toTensorView();
      expect(view).toMatchObject({ byteOffset: 96, shape: [1, 3, 2, 4, 2], strides: [48, 16, 8, 2, 1] });
      expect([...(block.data() as Uint16Array)].filter((_, n) => n % 8 === 7)).toEqual([7, 17, 107, 117, 207, 217]);
    } else expect(() => block.data()).toThrow('not contiguous');
    if (layout === 'layers_outer_contiguous') expect(() => block.at(0).data()).toThrow('not contiguous');
    else expect([...(block.at(2).data() as Uint16Array)].slice(7, 9)).toEqual([207, 210]);
    expect(new Uint8Array(list.at(0).at(0).toTensorView().buffer, 0, 2)).toEqual(new Uint8Array(2));
    for (const name of ['stream', 'max_version', 'dl_device', 'copy'])
      expect(() => block.at(0).toTensorView({ [name]: 1 })).toThrow(`${name} argument is not supported`);
  }
});

test('numbers have their types', async () => {
  const types = { fp8: 1, fp16: 2, bf16: 2, fp32: 4, u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, u64: 8, i64: 8 } as const;
  for (const [dataType, width] of Object.entries(types)) {
    await using manager = await open({ shape: { ...shape, dataType: dataType as 'fp8' } });
    using list = manager.allocateHostBlocksSync(1);
    expect(list.at(0).data()).toMatchObject({ length: 48, BYTES_PER_ELEMENT: width });
  }
  await using manager = await open({ shape: { ...shape, dataType: 'fp16' } });
  using list = manager.allocateHostBlocksSync(1);
  list
    .at(0)
    .data()
    .fill(0.5 as never);
  expect(list.at(0).at(2).data()).toEqual(new Float16Array(16).fill(0.5));
});

test('what is wrong is refused, and nothing changes', async () => {
  const refused: [Partial<BlockManagerOptions>, string][] = [
    [{ host: { blocks: 0 } }, 'blocks must be a count above 0'],
    [{ host: { blocks: 2 ** 31 } }, 'blocks must be at most'],
    [{ host: { blocks: 1.5 } }, 'blocks must be a count above 0'],
    [{ shape: { ...shape, layers: -1 } }, 'layers must be a count above 0'],
    [{ shape: { ...shape, innerDim: Number.NaN } }, 'innerDim must be a count above 0'],
    [{ shape: { ...shape, dataType: 'fp12' as never } }, "unknown data type 'fp12'"],
    [{ shape: { ...shape, dataType: 'toString' as never } }, "unknown data type 'toString'"],
    [{ shape: { ...shape, alignment: 3 } }, 'power of two'],
  ];
  for (const [options, message] of refused)
    await expect(open(options)).rejects.toThrow(expect.objectContaining({ code: 'invalid_argument', message: expect.stringContaining(message) }));
  await expect(open({ events: { removed() {}, cleared() {} } })).rejects.toThrow('events must be a KvPublisher or a function');
  await expect(open({ metrics: { text: () => Promise.resolve('') } })).rejects.toThrow('metrics must be a Metrics');
  await expect(BlockManager.open({ shape })).rejects.toThrow('needs a tier');
  await expect(open({ host: { blocks: 2 ** 31 - 1 }, shape: { ...shape, innerDim: 4_096 } })).rejects.toThrow(code('resource_exhausted'));

  await using manager = await open();
  const { host } = manager;
  if (host === undefined) throw new Error('no host tier');
  using list = await manager.allocateHostBlocks(1);
  await expect(manager.allocateHostBlocks(5)).rejects.toThrow('Not enough blocks available, requested: 5, available: 3');
  await expect(manager.allocateHostBlocks(-1)).rejects.toThrow(code('invalid_argument'));
  await expect(manager.allocateDeviceBlocks(1)).rejects.toThrow('no device tier configured');
  expect(() => manager.allocateDeviceBlocksSync(1)).toThrow('no device tier configured');
  expect(() => manager.cudaConnector()).toThrow('native CUDA connector not available');
  expect(() => host.register([])).toThrow(code('invalid_argument'));
  const [content] = manager.tokenBlocks([1, 2, 3, 4]);
  if (content === undefined) throw new Error('no block');
  expect(() => list.at(0).applyTokenBlock({ ...content, tokens: Uint32Array.of(1) })).toThrow('a block holds 4 tokens, not 1');
  list.at(0).applyTokenBlock(content);
  expect(() => host.register([list.at(0), list.at(0)])).toThrow('was returned already');
  expect(() => host.register(list, { priority: -1 })).toThrow('priority');
  await using other = await BlockManager.open({ shape, disk: { blocks: 2, reserve: false } });
  expect(() => other.disk?.register(list)).toThrow('is of the host tier');
  expect(host.status).toEqual({ active: 1, inactive: 0, empty: 3 });
  expect(() => host.reset()).toThrow('Reset error: total blocks: 4, available blocks: 3');
});

test('a block is returned once: a second time is an error that changes nothing', async () => {
  await using manager = await open();
  const host = manager.host as BlockTier;
  const list = await manager.allocateHostBlocks(2);
  const block = list.at(0);
  block.release();
  expect(() => block.release()).toThrow(expect.objectContaining({ code: 'invalid_argument', message: 'block 0 was returned already' }));
  list[Symbol.dispose]();
  list[Symbol.dispose]();
  expect(manager.host?.status).toEqual({ active: 0, inactive: 0, empty: 4 });
  const again = await manager.allocateHostBlocks(4);
  expect(new Set([...again].map(({ id }) => id)).size).toBe(4);
  expect(() => block.release()).toThrow('returned already');
  expect(() => inside(host).pool.release(0)).toThrow('returned already');
  expect(host.status).toEqual({ active: 4, inactive: 0, empty: 0 });
});
