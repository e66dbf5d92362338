import { DynamoError } from '@dynamo/runtime';
import type { Tier } from '@dynamo/kv-router/internal';
import { BlockList } from './block-list.ts';
import { type Block, type BlockHome, newBlock, type Registered, surrender } from './block.ts';
import type { BlockEvents } from './block-events.ts';
import type { BlockHasher, TokenBlock } from './block-hasher.ts';
import type { Layout } from './layout.ts';
import { type PoolStatus, type ResetOutcome, TierPool } from './tier-pool.ts';
import type { TierStorage } from './tier-storage.ts';

/** What a tier is made of. */
export interface TierParts {
  readonly name: 'device' | 'host' | 'disk';
  readonly layout: Layout;
  readonly hasher: BlockHasher;
  readonly storage: TierStorage;
  readonly events: BlockEvents;
  /** Whether a second copy of a registered block stays its owner's until returned; else it goes back at once. */
  readonly keepDuplicates: boolean;
}

const wireTiers: Readonly<Record<TierParts['name'], Tier>> = { device: 'device', host: 'host_pinned', disk: 'disk' };

const isPriority = (priority: number | undefined): boolean => priority !== undefined && priority >>> 0 === priority;

/** What the rest of this folder may see of a tier. */
interface TierInside {
  readonly pool: TierPool;
  readonly storage: TierStorage;
  /** Hears of blocks that are newly registered. */
  onRegistered: (content: TokenBlock, priority: number) => void;
}

export let newTier: (parts: TierParts) => BlockTier;
export let inside: (tier: BlockTier) => TierInside;

/** One tier: a pool of blocks and their bytes. */
export class BlockTier {
  readonly name: 'device' | 'host' | 'disk';
  /** How many blocks it has. */
  readonly capacity: number;
  readonly #pool: TierPool;
  readonly #inside: TierInside;
  readonly #parts: TierParts;
  readonly #home: BlockHome;
  readonly #content: (TokenBlock | undefined)[] = [];
  readonly #priority: Float64Array;

  static {
    newTier = (parts) => new BlockTier(parts);
    inside = (tier) => tier.#inside;
  }

  private constructor(parts: TierParts) {
    const { name, layout, hasher, storage, events } = parts;
    this.name = name;
    this.capacity = layout.blocks;
    this.#parts = parts;
    this.#priority = new Float64Array(layout.blocks);
    const pool = new TierPool(layout.blocks, (slot, hash) => {
      this.#content[slot] = undefined;
      events.removed(wireTiers[name], hash);
    });
    this.#pool = pool;
    this.#inside = { pool, storage, onRegistered: () => {} };
    this.#home = {
      name,
      layout,
      hasher,
      pieces: (slot) => storage.pieces?.(slot),
      drop: (slot) => pool.drop(slot),
      release: (slot) => pool.release(slot),
      share: (slot) => pool.share(slot),
    };
  }

  get status(): PoolStatus {
    return this.#pool.status;
  }

  /** Takes empty blocks, all or none, forgetting registered ones where there are too few. @throws DynamoError `resource_exhausted`. */
  allocate(count: number): BlockList {
    try {
      return new BlockList(this.#pool.allocate(count).map((slot) => newBlock(this.#home, slot)));
    } finally {
      this.#parts.events.flush();
    }
  }

  /**
   * Makes complete blocks findable under their sequence hashes, all or none; the handles given are used up.
   *
   * Where a hash is registered already, the handle returned is on that block. Priority, one for all or one each, decides who stays longer.
   *
   * @throws DynamoError `invalid_argument` for no blocks, and for blocks of another tier or not complete.
   */
  register(blocks: BlockList | readonly Block[], options: { priority?: number | readonly number[] } = {}): BlockList {
    const list = [...blocks];
    const { priority = 0 } = options;
    const priorities = typeof priority === 'number' ? list.map(() => priority) : priority;
    if (list.length === 0) throw new DynamoError('invalid_argument', 'no blocks were given to register');
    const wrong = list.findIndex((_, at) => !isPriority(priorities[at]));
    if (wrong >= 0) throw new DynamoError('invalid_argument', `priority must be a 32-bit count, got ${String(priorities[wrong])}`);
    const held = new Set<Block>();
    for (const block of list) {
      this.checkOwn(block);
      if (block.state === 'returned' || held.has(block))
        throw new DynamoError('invalid_argument', `block ${block.id} was returned already`, { data: { block: block.id } });
      if (block.state !== 'complete') throw new DynamoError('invalid_argument', 'Block is not complete', { data: { block: block.id } });
      held.add(block);
    }
    const registered = list.map((block, at) => this.#registerOne(block, priorities[at] as number));
    this.#parts.events.flush();
    return new BlockList(registered);
  }

  /** The longest prefix of these sequence hashes that is registered here. */
  match(hashes: readonly bigint[]): BlockList {
    return new BlockList(this.#pool.match(hashes).map((slot) => this.handle(slot)));
  }

  /** How much of a prefix is registered here; nothing is held. */
  matches(hashes: readonly bigint[]): number {
    const at = hashes.findIndex((hash) => this.#pool.find(hash) === undefined);
    return at < 0 ? hashes.length : at;
  }

  /** Makes unused blocks stay longer, in order, as if just returned; stops at the first hash that isn't registered. */
  touch(hashes: readonly bigint[]): void {
    this.#pool.touch(hashes);
  }

  /** Forgets all blocks. @throws DynamoError `unavailable` while any is in use. */
  reset(): void {
    this.#pool.reset();
    this.#parts.events.flush();
  }

  /** Forgets these blocks as far as nobody uses them. */
  resetBlocks(hashes: readonly bigint[]): ResetOutcome {
    const outcome = this.#pool.resetBlocks(hashes);
    this.#parts.events.flush();
    return outcome;
  }

  /** @internal A handle on a registered slot that the caller has taken into use. */
  handle(slot: number): Block {
    return newBlock(this.#home, { slot, primary: slot, content: this.contentOf(slot) });
  }

  /** @internal What a registered slot holds. */
  contentOf(slot: number): TokenBlock {
    return this.#content[slot] as TokenBlock;
  }

  /** @internal The priority that a registered slot was given. */
  priorityOf(slot: number): number {
    return this.#priority[slot] as number;
  }

  /** @internal */
  checkOwn(block: Block): void {
    if (block.tier !== this.name)
      throw new DynamoError('invalid_argument', `block ${block.id} is of the ${block.tier} tier, not of the ${this.name} tier`);
  }

  /** @internal Tells that every registered block has gone: the tier closes. */
  forgetAll(): void {
    for (const hash of this.#pool.hashes) this.#parts.events.removed(wireTiers[this.name], hash);
    this.#parts.events.flush();
  }

  #registerOne(block: Block, priority: number): Block {
    const content = block.content as TokenBlock;
    const slot = block.id;
    const { primary, outcome } = this.#pool.register(slot, content.sequenceHash, priority);
    surrender(block);
    if (outcome === 'stored') {
      this.#content[slot] = content;
      this.#priority[slot] = priority;
      this.#parts.events.stored(wireTiers[this.name], content);
      this.#inside.onRegistered(content, priority);
      return this.handle(slot);
    }
    if (this.#parts.keepDuplicates) return newBlock(this.#home, { slot, primary, content } satisfies Registered);
    this.#pool.drop(slot);
    return this.handle(primary);
  }
}
