import { DynamoError, type Logger } from '@dynamo/runtime';
import { silentLogger } from '@dynamo/runtime/internal';
import { BlockList } from './block-list.ts';
import { type Block, pin } from './block.ts';
import { BlockEvents, type BlockEventSink } from './block-events.ts';
import { BlockHasher, type BlockSalt, type TokenBlock } from './block-hasher.ts';
import { BlockMetrics } from './block-metrics.ts';
import { type BlockTier, inside, newTier } from './block-tier.ts';
import { type DeviceTier, deviceStorage } from './device-tier.ts';
import { DiskFile, type DiskFileOptions } from './disk-file.ts';
import { FrequencyFilter, type OffloadFilter } from './frequency-filter.ts';
import { HostMemory } from './host-memory.ts';
import { type BlockShape, type HostLayout, layoutOf } from './layout.ts';
import { eachOf, Offload } from './offload.ts';
import { moveBlock, type TierStorage } from './tier-storage.ts';

/** Which tiers there are, how large, and who hears of what they hold. At least one tier is needed. */
export interface BlockManagerOptions {
  shape: BlockShape;
  /** Blocks in host memory. */
  host?: { blocks: number; layout?: HostLayout };
  /** Blocks in a file. Which of them are written is decided by `filter`; default: those offered at least twice. */
  disk?: DiskFileOptions & { blocks: number; filter?: OffloadFilter | 'frequency' | 'none' };
  /** Blocks in memory that a native module reaches. */
  device?: { blocks: number; tier: DeviceTier };
  /** A `KvPublisher`, through which routers are told what each tier holds, or a function that hears of it. */
  events?: BlockEventSink | { removed(hashes: readonly bigint[]): void; cleared(): void };
  /** A `Metrics` that prints those of the blocks as well, such as a runtime's. */
  metrics?: { text(): Promise<string> };
  log?: Logger;
  /** Whether a second copy of a registered block stays its owner's until returned; default false. */
  keepDuplicates?: boolean;
}

/** What a lookup found: a prefix of the sequence, tier after tier. */
export interface TierMatches extends Disposable {
  readonly device: BlockList;
  readonly host: BlockList;
  readonly disk: BlockList;
}

const transfersAtOnce = 4;
const noBlocks = new BlockList([]);

/** The changes of a manager's tiers, as they are gathered. */
export let eventsOf: (manager: BlockManager) => BlockEvents;

/**
 * KV blocks in tiers: device (by plug-in), host memory and disk, with the rules of the real block manager (spec block-manager).
 *
 * Blocks are filled by their owner, registered under the hash of everything up to them, found again by prefix, copied to
 * the next tier in the background and brought back on demand.
 *
 * @example
 * await using manager = await BlockManager.open({ shape: { layers: 2, pageSize: 16, innerDim: 64 }, host: { blocks: 8 } });
 * using blocks = await manager.allocateHostBlocks(1);
 */
export class BlockManager implements AsyncDisposable {
  readonly device: BlockTier | undefined;
  readonly host: BlockTier | undefined;
  readonly disk: BlockTier | undefined;
  readonly blockBytes: number;
  readonly pageSize: number;
  readonly #events: BlockEvents;
  readonly #hasher: BlockHasher;
  readonly #metrics: BlockMetrics;
  readonly #offloads: readonly Offload[];
  readonly #moving = new Set<Promise<BlockList>>();
  #closed: Promise<void> | undefined;

  static {
    eventsOf = (manager) => manager.#events;
  }

  private constructor(options: BlockManagerOptions, storages: Readonly<Partial<Record<'device' | 'host' | 'disk', TierStorage>>>) {
    const { shape, log = silentLogger } = options;
    const { blockBytes } = layoutOf(shape, 1);
    this.blockBytes = blockBytes;
    this.pageSize = shape.pageSize;
    this.#hasher = new BlockHasher(shape.pageSize);
    this.#metrics = new BlockMetrics(options.metrics);
    this.#events = new BlockEvents(options.events, log);
    const tier = (name: 'device' | 'host' | 'disk'): BlockTier | undefined => {
      const storage = storages[name];
      if (storage === undefined) return undefined;
      const layout = layoutOf(shape, options[name]?.blocks ?? 0, name === 'host' ? options.host?.layout : 'contiguous');
      const { keepDuplicates = false } = options;
      return newTier({ name, layout, hasher: this.#hasher, storage, events: this.#events, keepDuplicates });
    };
    this.device = tier('device');
    this.host = tier('host');
    this.disk = tier('disk');
    // Without a host tier the device offloads to disk (spec block-manager 5, bypass).
    const edges = [
      [this.device, this.host ?? this.disk],
      [this.host, this.disk],
    ] as const;
    this.#offloads = edges.flatMap(([from, to]) => {
      if (from === undefined || to === undefined) return [];
      const filter = to === this.disk ? diskFilter(options.disk?.filter) : undefined;
      const offload = new Offload({ from, to, bytes: blockBytes, filter, metrics: this.#metrics, log });
      inside(from).onRegistered = ({ sequenceHash }, priority) => offload.offer(sequenceHash, priority);
      return [offload];
    });
  }

  /**
   * Takes the memory and makes the file.
   *
   * @throws DynamoError `invalid_argument` for shapes that can't be, `resource_exhausted` for memory or disk that isn't
   * there; nothing is held then.
   */
  static async open(options: BlockManagerOptions): Promise<BlockManager> {
    const { shape, device, host, disk } = options;
    if (device === undefined && host === undefined && disk === undefined)
      throw new DynamoError('invalid_argument', 'a block manager needs a tier: device, host or disk');
    const layouts = {
      device: device && layoutOf(shape, device.blocks),
      host: host && layoutOf(shape, host.blocks, host.layout),
      disk: disk && layoutOf(shape, disk.blocks),
    };
    await using stack = new AsyncDisposableStack();
    const storages: { device?: TierStorage; host?: TierStorage; disk?: TierStorage } = {};
    if (layouts.host !== undefined) storages.host = stack.use(new HostMemory(layouts.host));
    if (layouts.disk !== undefined) storages.disk = stack.use(await DiskFile.open(layouts.disk, disk));
    if (layouts.device !== undefined && device !== undefined) {
      storages.device = stack.use(deviceStorage(device.tier));
      await device.tier.allocate(device.blocks, layouts.device.blockBytes);
    }
    const manager = new BlockManager(options, storages);
    stack.move();
    return manager;
  }

  /** The metrics of the blocks, under the real system's `kvbm` names. */
  get metrics(): { text(): Promise<string> } {
    return this.#metrics.metrics;
  }

  /** The tier that engines work in: the device where there is one, else host memory, else the disk. */
  get first(): BlockTier {
    return (this.device ?? this.host ?? this.disk) as BlockTier;
  }

  /** Takes empty blocks of host memory, all or none. @throws DynamoError `resource_exhausted`. */
  async allocateHostBlocks(count: number): Promise<BlockList> {
    return await Promise.resolve(this.allocateHostBlocksSync(count));
  }

  allocateHostBlocksSync(count: number): BlockList {
    return this.#tier('host').allocate(count);
  }

  /** Takes empty blocks of the device, all or none. @throws DynamoError `not_implemented` without a device tier. */
  async allocateDeviceBlocks(count: number): Promise<BlockList> {
    return await Promise.resolve(this.allocateDeviceBlocksSync(count));
  }

  allocateDeviceBlocksSync(count: number): BlockList {
    return this.#tier('device').allocate(count);
  }

  /** Names the full blocks of a prompt, or of what follows a block of it. */
  tokenBlocks(tokens: Uint32Array | readonly number[], salt: BlockSalt = {}, after?: TokenBlock): TokenBlock[] {
    return this.#hasher.blocks(tokens, salt, after);
  }

  /** The longest prefix of these sequence hashes that is held, tier after tier; counted in the metrics. */
  match(hashes: readonly bigint[]): TierMatches {
    const device = this.device?.match(hashes) ?? noBlocks;
    const host = this.host?.match(hashes.slice(device.length)) ?? noBlocks;
    const disk = this.disk?.match(hashes.slice(device.length + host.length)) ?? noBlocks;
    this.#metrics.lookedUp(hashes.length, { device: device.length, host: host.length, disk: disk.length }, this.pageSize);
    return {
      device,
      host,
      disk,
      [Symbol.dispose]() {
        for (const list of [disk, host, device]) list[Symbol.dispose]();
      },
    };
  }

  /**
   * Copies registered blocks of one tier into the first one, and registers them there. The blocks given stay the caller's.
   *
   * @throws DynamoError `invalid_argument` for blocks of several tiers, of the first tier, not registered, or with another
   * number of targets; `resource_exhausted` without room. After a failure nothing has changed, and targets are still
   * the caller's.
   */
  async onboard(blocks: BlockList, options: { targets?: BlockList } = {}): Promise<BlockList> {
    const sources = [...blocks];
    const given = options.targets === undefined ? undefined : [...options.targets];
    if (given !== undefined && given.length !== sources.length)
      throw new DynamoError('invalid_argument', 'Number of targets does not match number of blocks.', {
        data: { targets: given.length, blocks: sources.length },
      });
    const [head] = sources;
    if (head === undefined) return new BlockList([]);
    const { first } = this;
    const from = this.#tier(head.tier);
    if (from === first) throw new DynamoError('invalid_argument', `blocks of the ${from.name} tier need no onboarding`);
    for (const block of sources) {
      from.checkOwn(block);
      if (block.state !== 'registered') throw new DynamoError('invalid_argument', 'Block state is invalid: Block is not registered');
    }
    for (const block of given ?? []) {
      first.checkOwn(block);
      if (block.state !== 'reset') throw new DynamoError('invalid_argument', 'Block state is invalid: Block is not reset');
    }
    const moving = this.#bring({ from, sources, given });
    this.#moving.add(moving);
    try {
      return await moving;
    } finally {
      this.#moving.delete(moving);
    }
  }

  /** Resolves when every offload offered so far was dealt with. */
  async settled(): Promise<void> {
    for (const offload of this.#offloads) await offload.settled();
  }

  /** @throws DynamoError `not_implemented`: the connectors of CUDA engines are native code. */
  cudaConnector(): never {
    throw new DynamoError('not_implemented', 'native CUDA connector not available');
  }

  /** Ends the copies under way, tells routers that the blocks have gone, closes and removes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await (this.#closed ??= this.#close());
  }

  async #bring(job: { from: BlockTier; sources: readonly Block[]; given: readonly Block[] | undefined }): Promise<BlockList> {
    const { first } = this;
    // The sources are held by handles of our own: the caller may return theirs meanwhile.
    using held = new BlockList(job.sources.map((block) => block.share()));
    const targets = job.given ?? first.allocate(job.sources.length).toList();
    using pins = new DisposableStack();
    for (const target of targets) pins.use(pin(target));
    const pairs = held.toList().map((source, at) => ({ source, target: targets[at] as Block }));
    try {
      await eachOf(pairs, transfersAtOnce, ({ source, target }) =>
        moveBlock(inside(job.from).storage, inside(first).storage, { source: source.id, target: target.id, bytes: this.blockBytes }),
      );
      const gone = targets.find((target) => target.state !== 'reset');
      if (gone !== undefined) throw new DynamoError('cancelled', `block ${gone.id} was returned while it was being filled`);
      for (const { source, target } of pairs) target.applyTokenBlock(source.content as TokenBlock);
    } catch (error) {
      this.#metrics.failed(first.name);
      if (job.given === undefined) for (const target of targets.toReversed()) target[Symbol.dispose]();
      throw error;
    }
    const registered = first.register(targets, { priority: pairs.map(({ source }) => job.from.priorityOf(source.id)) });
    this.#metrics.onboarded(job.from.name, targets.length);
    return registered;
  }

  #tier(name: 'device' | 'host' | 'disk'): BlockTier {
    if (this.#closed !== undefined) throw new DynamoError('unavailable', 'the block manager is closed');
    const tier = this[name];
    if (tier === undefined) throw new DynamoError('not_implemented', `no ${name} tier configured`);
    return tier;
  }

  async #close(): Promise<void> {
    const tiers = [this.device, this.host, this.disk].filter((tier) => tier !== undefined);
    await Promise.allSettled(this.#moving);
    await Promise.all(this.#offloads.map((offload) => offload.close()));
    for (const tier of tiers) tier.forgetAll();
    this.#metrics[Symbol.dispose]();
    const ended = await Promise.allSettled(tiers.map((tier) => inside(tier).storage[Symbol.asyncDispose]()));
    for (const one of ended) if (one.status === 'rejected') throw one.reason;
  }
}

function diskFilter(filter: OffloadFilter | 'frequency' | 'none' = 'frequency'): OffloadFilter | undefined {
  return filter === 'frequency' ? new FrequencyFilter() : filter === 'none' ? undefined : filter;
}
