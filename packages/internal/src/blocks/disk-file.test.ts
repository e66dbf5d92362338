import { execFile, spawnSync } from 'node:child_process';
import { type FileHandle, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BlockManager } from './block-manager.ts';
import { DiskFile } from './disk-file.ts';
import { layoutOf } from './layout.ts';
import { fill, isWhole, sequences } from './testing/content.ts';

const shape = { layers: 2, pageSize: 4, innerDim: 300, dataType: 'u16' } as const;
const [chain = []] = sequences(4, 1, 6);
const hashes = chain.map(({ sequenceHash }) => sequenceHash);
let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'blocks-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function storeAll(manager: BlockManager): Promise<void> {
  using list = await manager.allocateHostBlocks(chain.length);
  for (const [at, block] of [...list].entries()) {
    fill(block, hashes[at] as bigint);
    block.applyTokenBlock(chain[at] as (typeof chain)[number]);
  }
  manager.host?.register(list)[Symbol.dispose]();
  await manager.settled();
}

const opened = (openFile?: Parameters<typeof DiskFile.open>[1]): Promise<BlockManager> =>
  BlockManager.open({ shape, host: { blocks: 6 }, disk: { blocks: 6, folder, filter: 'none', ...openFile } });

/** A real file whose calls can be made to fail. */
async function failing(path: string, flags: number, fault: { write?: () => void; read?: () => void }): Promise<FileHandle> {
  const file = await open(path, flags, 0o600);
  return new Proxy(file, {
    get(target, name: keyof FileHandle) {
      const member: unknown = target[name];
      if (typeof member !== 'function') return member;
      return (...args: unknown[]) => {
        if (name === 'write' || name === 'writev') fault.write?.();
        if (name === 'read' || name === 'readv') fault.read?.();
        return Reflect.apply(member as () => unknown, target, args);
      };
    },
  });
}

const full = (): never => {
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
};

test('the file has its whole size from the start, blocks start at pages, and it goes with its owner', async () => {
  const manager = await opened();
  const [name = ''] = await readdir(folder);
  const { size, blocks } = await stat(join(folder, name));
  expect([size, blocks * 512 >= size]).toEqual([6 * 8_192, true]);
  await manager[Symbol.asyncDispose]();
  await manager[Symbol.asyncDispose]();
  expect(await readdir(folder)).toEqual([]);
  expect(() => manager.allocateHostBlocksSync(1)).toThrow(expect.objectContaining({ code: 'unavailable' }));
});

test('pieces of every number and size are read as they were written', async () => {
  const layout = layoutOf({ layers: 700, pageSize: 1, innerDim: 3, dataType: 'u8' }, 3);
  await using file = await DiskFile.open(layout, { folder, durable: true });
  const pieces = Array.from({ length: 700 }, (_, at) => new Uint8Array(3).fill(at));
  await file.write(1, pieces);
  const back = [new Uint8Array(1_000), new Uint8Array(1_100)];
  await file.read(1, back);
  expect(Buffer.concat(back)).toEqual(Buffer.concat(pieces));
  await file.read(2, [back[0] as Uint8Array]);
  expect(back[0]).toEqual(new Uint8Array(1_000));
});

test('a disk that is full at the start, or has no such folder, is told by code, and nothing stays', async () => {
  await expect(opened({ openFile: (path, flags) => failing(path, flags, { write: full }) })).rejects.toMatchObject({
    code: 'resource_exhausted',
    data: { system: 'ENOSPC' },
  });
  expect(await readdir(folder)).toEqual([]);
  await expect(opened({ folder: join(folder, 'none') })).rejects.toMatchObject({ code: 'invalid_argument', data: { system: 'ENOENT' } });
});

test('a limit of the system on the size of files is told as a full disk', async () => {
  const program = `
    import { BlockManager } from ${JSON.stringify(new URL('block-manager.ts', import.meta.url).href)};
    const shape = { layers: 1, pageSize: 64, innerDim: 1024, dataType: 'u8' };
    await BlockManager.open({ shape, disk: { blocks: 64, folder: ${JSON.stringify(folder)} } }).catch((error) => console.log(error.code, error.data.system));
  `;
  await writeFile(join(folder, 'limited.mts'), program);
  const command = `ulimit -f 512; exec "$0" --conditions=@dynamo/source "$1"`;
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, join(folder, 'limited.mts')]);
  expect(stdout).toBe('resource_exhausted EFBIG\n');
  expect(await readdir(folder)).toEqual(['limited.mts']);
});

test('a disk that fills up later costs the copies, and nothing else', async () => {
  const fault: { write?: () => void } = {};
  await using manager = await opened({ reserve: false, openFile: (path, flags) => failing(path, flags, fault) });
  fault.write = full;
  await storeAll(manager);
  expect(manager.disk?.status).toEqual({ active: 0, inactive: 0, empty: 6 });
  expect(manager.host?.status).toEqual({ active: 0, inactive: 6, empty: 0 });
  using blocks = manager.host?.match(hashes);
  expect([...(blocks ?? [])].every(isWhole)).toBe(true);
  expect(await manager.metrics.text()).toContain('kvbm_failed_transfers{to="disk"} 6');
});

test('a file that was cut off gives an error that names the block, and leaves everything as it was', async () => {
  await using manager = await opened();
  await storeAll(manager);
  manager.host?.reset();
  const [name = ''] = await readdir(folder);
  await truncate(join(folder, name), 3 * 8_192 + 100);
  using blocks = manager.disk?.match(hashes);
  if (blocks === undefined) throw new Error('no disk tier');
  await expect(manager.onboard(blocks)).rejects.toMatchObject({
    code: 'unavailable',
    message: expect.stringMatching(/block \d of the disk tier could not be read: the file of the disk tier ends at byte \d+/),
  });
  expect(manager.host?.status).toEqual({ active: 0, inactive: 0, empty: 6 });
  expect(manager.disk?.status).toEqual({ active: 6, inactive: 0, empty: 0 });
  const fine = manager.disk?.match(hashes.slice(0, 3));
  if (fine === undefined) throw new Error('no disk tier');
  using brought = await manager.onboard(fine);
  expect([...brought].every(isWhole)).toBe(true);
  fine[Symbol.dispose]();
});

test('closing waits for the copies under way', async () => {
  const manager = await opened();
  await storeAll(manager);
  manager.host?.reset();
  using blocks = manager.disk?.match(hashes);
  if (blocks === undefined) throw new Error('no disk tier');
  const moving = manager.onboard(blocks);
  await manager[Symbol.asyncDispose]();
  expect((await moving).length).toBe(6);
  await expect(manager.onboard(blocks)).rejects.toMatchObject({ code: 'unavailable' });
  expect(await readdir(folder)).toEqual([]);
});

test('a new start finds nothing of an old one, and removes what a killed process left', async () => {
  const { pid: dead } = spawnSync(process.execPath, ['-e', '']);
  const left = `dynamo-blocks-${dead}-0123456789abcdef.bin`;
  await writeFile(join(folder, left), 'old bytes');
  await writeFile(join(folder, 'dynamo-blocks-of-mine.bin'), 'not a file of this kind');
  await using manager = await opened();
  const names = await readdir(folder);
  expect([names.length, names.includes(left), manager.disk?.status.empty]).toEqual([2, false, 6]);
});
