import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type BlockList, BlockManager, type DeviceTier, type TokenBlock } from '@dynamo/internal';
import { median } from './median.ts';

/** Blocks of 2 MiB: 16 tokens of 32 layers, keys and values of 1,024 numbers. */
const shape = { layers: 32, pageSize: 16, innerDim: 1024, outerDim: 2, dataType: 'fp16' } as const;
const blocks = 128;

/** Plain memory in a device's place, so that copies to and from the host tier are copies of memory and nothing else. */
class PlainMemory implements DeviceTier {
  readonly name = 'plain memory';
  #memory = Buffer.alloc(0);
  #bytes = 0;

  allocate(count: number, blockBytes: number): Promise<void> {
    this.#bytes = blockBytes;
    this.#memory = Buffer.alloc(count * blockBytes, 1);
    return Promise.resolve();
  }

  copyToHost(slot: number, into: readonly Uint8Array[]): Promise<void> {
    let at = slot * this.#bytes;
    for (const piece of into) at += this.#memory.copy(piece, 0, at, at + piece.length);
    return Promise.resolve();
  }

  copyFromHost(slot: number, from: readonly Uint8Array[]): Promise<void> {
    let at = slot * this.#bytes;
    for (const piece of from) at += Buffer.from(piece.buffer, piece.byteOffset, piece.length).copy(this.#memory, at);
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

type Lanes = Record<string, { beside?: string; run(): Promise<number> }>;

/** GB/s of the host and disk tiers, whole paths with pools and registration, beside copies of as many bytes by hand, in turns. */
export async function blockTiers(options: { rounds: number }): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'bench-blocks-'));
  stack.defer(() => rm(folder, { recursive: true }));
  const device = { blocks, tier: new PlainMemory() };
  const host = { blocks };
  const memory = stack.use(await BlockManager.open({ shape, device, host }));
  const disk = stack.use(await BlockManager.open({ shape, host, disk: { blocks, folder, filter: 'none' } }));
  const contents = memory.tokenBlocks(Array.from({ length: blocks * shape.pageSize }, (_, token) => token));
  const lanes: Lanes = {
    ...plainLanes(memory.blockBytes, await plainFile(stack, folder, memory.blockBytes)),
    ...tierLanes({ memory, disk, contents }),
  };
  const seen = Object.fromEntries(Object.keys(lanes).map((name) => [name, [] as number[]]));
  for (let round = -1; round < options.rounds; round++) {
    for (const [name, lane] of Object.entries(lanes)) {
      const took = await lane.run();
      // The first round warms up.
      if (round >= 0) seen[name]?.push((blocks * memory.blockBytes) / took / 1e6);
    }
  }
  for (const [name, { beside }] of Object.entries(lanes)) {
    const rate = median(seen[name] ?? []);
    const share = beside === undefined ? '' : `   ${(rate / median(seen[beside] ?? [])).toFixed(2)} of ${beside}`;
    console.log(`${name.padEnd(28)} ${rate.toFixed(2)} GB/s${share}`);
  }
}

async function timed(run: () => void | Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

async function plainFile(stack: AsyncDisposableStack, folder: string, bytes: number): Promise<Awaited<ReturnType<typeof open>>> {
  const file = await open(join(folder, 'plain'), 'w+');
  stack.defer(() => file.close());
  const zeros = new Uint8Array(bytes);
  for (let at = 0; at < blocks; at++) await file.write(zeros, 0, bytes, at * bytes);
  return file;
}

function plainLanes(bytes: number, file: Awaited<ReturnType<typeof open>>): Lanes {
  const from = new Uint8Array(bytes * blocks).fill(1);
  const to = new Uint8Array(bytes * blocks);
  const each = async (run: (piece: Uint8Array, at: number) => unknown): Promise<void> => {
    for (let at = 0; at < from.length; at += bytes) await run(from.subarray(at, at + bytes), at);
  };
  return {
    'TypedArray.set': {
      run: () =>
        timed(() => {
          for (let at = 0; at < from.length; at += bytes) to.set(from.subarray(at, at + bytes), at);
        }),
    },
    'file, one write after another': { run: () => timed(() => each((piece, at) => file.write(piece, 0, bytes, at))) },
    'file, one read after another': { run: () => timed(() => each((_, at) => file.read(to, at, bytes, at))) },
  };
}

function tierLanes({ memory, disk, contents }: { memory: BlockManager; disk: BlockManager; contents: readonly TokenBlock[] }): Lanes {
  const hashes = contents.map(({ sequenceHash }) => sequenceHash);
  /** Registers everything in the first tier, from which it is copied to the next. */
  const offload = async (manager: BlockManager): Promise<number> => {
    for (const tier of [manager.device, manager.host, manager.disk]) tier?.reset();
    const list: BlockList = manager.first.allocate(blocks);
    for (const [at, block] of [...list].entries()) block.applyTokenBlock(contents[at] as TokenBlock);
    return await timed(async () => {
      manager.first.register(list)[Symbol.dispose]();
      await manager.settled();
    });
  };
  /** Brings everything back. */
  const onboard = async (manager: BlockManager): Promise<number> => {
    manager.first.reset();
    return await timed(async () => {
      using found = manager.match(hashes);
      const lower = manager.device === undefined ? found.disk : found.host;
      if (lower.length !== blocks) throw new Error(`${lower.length} blocks were found`);
      (await manager.onboard(lower))[Symbol.dispose]();
    });
  };
  return {
    'into host memory': { beside: 'TypedArray.set', run: () => offload(memory) },
    'out of host memory': { beside: 'TypedArray.set', run: () => onboard(memory) },
    'host to disk': { beside: 'file, one write after another', run: () => offload(disk) },
    'disk to host': { beside: 'file, one read after another', run: () => onboard(disk) },
  };
}
