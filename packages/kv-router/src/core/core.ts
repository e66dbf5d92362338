import { DynamoError } from '@dynamo/runtime';
import { type CoreExports, instantiateCore } from './module.ts';

/** How large a core may grow. */
export interface CoreOptions {
  /** Blocks by worker, over all tiers, that are kept; beyond, the least recently used go. Default: no cap. */
  maxBlocks?: number;
  /** Bytes that the index itself may take; beyond, the least recently used blocks go. Default: 60 % of `memoryBytes`. */
  maxBytes?: number;
  /** Bytes of memory, at most 3.5 GiB, beyond which stores are refused as `full`. Default: 3.5 GiB. */
  memoryBytes?: number;
}

/** What applying an event came to; the same numbers as in assembly/apply.ts. */
export const outcome: {
  readonly ok: 0;
  readonly noParent: 1;
  readonly badSequence: 2;
  readonly noBlock: 3;
  readonly full: 4;
  readonly malformed: 5;
  readonly unsupported: 6;
} = { ok: 0, noParent: 1, badSequence: 2, noBlock: 3, full: 4, malformed: 5, unsupported: 6 };

/** What the real index says for each outcome (spec kv-router 3.3, 3.4); those from "full" on are ours alone. */
export const outcomeTexts: readonly string[] = [
  '',
  'Failed to find parent block',
  'Invalid block sequence',
  'Failed to find block',
  'The index is full',
  'The event is malformed',
  'The event is of a residency domain that is not known',
];

/** Kinds of decoded events; the same numbers as in assembly/decoded.ts. */
export const eventKind: { readonly malformed: 0; readonly stored: 1; readonly removed: 2; readonly cleared: 3; readonly unsupported: 4 } = {
  malformed: 0,
  stored: 1,
  removed: 2,
  cleared: 3,
  unsupported: 4,
};

/** An event that was decoded and not yet applied. */
export interface DecodedEvent {
  readonly kind: number;
  readonly tier: number;
  readonly workerId: bigint;
  readonly dpRank: number;
  readonly eventId: bigint;
  readonly blocks: number;
  /** False for a `cleared` of an older publisher, which is meant for every domain (spec kv-router 2). */
  readonly hasDomain: boolean;
}

/** How full a core is. */
export interface CoreCounts {
  readonly nodes: number;
  /** Blocks by worker on the device tier, and on the lower ones. */
  readonly blocks: number;
  readonly lowerBlocks: number;
  readonly bytes: number;
  readonly memoryBytes: number;
  readonly evictedBlocks: number;
  /** Stores that were refused for want of memory. */
  readonly refused: number;
}

const mostMemory = 3.5 * 2 ** 30;
const noRank = 0xffff_ffff;
const hasDomainBit = 16;

/**
 * The plain face of one compiled core: a prefix index, the hashes of prompts and the blocks in work, in one memory.
 *
 * Ranks are the numbers of a `RankTable`. What a method returns as a view is valid until the next call of any method.
 */
export class Core {
  readonly wasm: CoreExports = instantiateCore();
  #bytes = new Uint8Array(0);
  #words = new Uint32Array(0);
  #hashes = new BigUint64Array(0);
  #refused = 0;
  #input = 0;
  #inputBytes = -1;

  constructor(options: CoreOptions = {}) {
    const memoryBytes = Math.min(options.memoryBytes ?? mostMemory, mostMemory);
    const maxBytes = options.maxBytes ?? memoryBytes * 0.6;
    const maxBlocks = options.maxBlocks ?? 0xffff_ffff;
    if (!(maxBytes > 0 && maxBlocks > 0 && memoryBytes > 0))
      throw new DynamoError('invalid_argument', 'the caps of a prefix index must be above 0', { data: { maxBytes, maxBlocks, memoryBytes } });
    this.wasm.setLimit(BigInt(Math.floor(memoryBytes)));
    this.wasm.setCaps(Math.min(Math.floor(maxBlocks), 0xffff_ffff), BigInt(Math.floor(Math.min(maxBytes, memoryBytes))));
  }

  /** The memory as bytes. Memory that has grown has a new buffer, so views are made anew. */
  get bytes(): Uint8Array {
    if (this.#bytes.buffer !== this.wasm.memory.buffer) this.#renew();
    return this.#bytes;
  }

  /** The memory as u32. */
  get words(): Uint32Array {
    if (this.#words.buffer !== this.wasm.memory.buffer) this.#renew();
    return this.#words;
  }

  /** The memory as u64. */
  get hashes(): BigUint64Array {
    if (this.#hashes.buffer !== this.wasm.memory.buffer) this.#renew();
    return this.#hashes;
  }

  #renew(): void {
    const { buffer } = this.wasm.memory;
    this.#bytes = new Uint8Array(buffer);
    this.#words = new Uint32Array(buffer);
    this.#hashes = new BigUint64Array(buffer);
  }

  /** Numbers above 2^31 come out of the core as negative ones, and 0 means that memory has run out. */
  address(at: number): number {
    if (at === 0) throw new DynamoError('resource_exhausted', outcomeTexts[outcome.full] ?? '');
    return at >>> 0;
  }

  /** Where `bytes` of input may be written. */
  inputRoom(bytes: number): number {
    if (bytes > this.#inputBytes) {
      this.#input = this.address(this.wasm.input(bytes));
      this.#inputBytes = this.wasm.inputCapacity();
    }
    return this.#input;
  }

  /** Copies bytes into the input area and returns where they are. */
  write(bytes: Uint8Array): number {
    const at = this.inputRoom(bytes.length);
    this.bytes.set(bytes, at);
    return at;
  }

  /** Copies hashes into the input area and returns where they are. */
  writeHashes(hashes: BigUint64Array, more?: BigUint64Array): number {
    const at = this.inputRoom((hashes.length + (more?.length ?? 0)) * 8);
    this.hashes.set(hashes, at / 8);
    if (more !== undefined) this.hashes.set(more, at / 8 + hashes.length);
    return at;
  }

  /** Puts the hashes of a prompt where `PromptHasher` would. */
  writePrompt(local: BigUint64Array, sequence: BigUint64Array): void {
    const at = this.address(this.wasm.promptRoom(local.length)) / 8;
    const behind = (this.wasm.promptSequence() >>> 0) / 8;
    this.hashes.set(local, at);
    this.hashes.set(sequence, behind);
  }

  // ---- ranks

  /** Lets a rank's number stand for (worker_id, dp_rank) in decoded events, and makes room for it. */
  bindRank(rank: number, workerId: bigint, dpRank: number): void {
    if (!this.wasm.bindRank(rank, workerId, dpRank)) throw new DynamoError('resource_exhausted', `no room for rank ${rank}`, { data: { rank } });
  }

  /** Makes room for ranks below `count`, bound or not: results then have a number for each. */
  expectRanks(count: number): void {
    if (count > this.wasm.rankCount() && !this.wasm.expectRanks(count))
      throw new DynamoError('resource_exhausted', `no room for ${count} ranks`, { data: { count } });
  }

  /** Forgets a rank's blocks on all tiers. */
  clearRank(rank: number): void {
    this.wasm.clearRank(rank);
  }

  /** Forgets all there is of a rank, also what a clear leaves behind: its number may go to another. */
  forgetRank(rank: number): void {
    this.wasm.forgetRank(rank);
  }

  // ---- events

  /** Decodes one event or an array of them and says how many there are; nothing is applied yet. */
  decode(bytes: Uint8Array, format: 'msgpack' | 'json'): number {
    this.write(bytes);
    return this.wasm.decodeInput(bytes.length, format === 'json' ? 1 : 0);
  }

  /** What the `i`th decoded event is. */
  event(i: number): DecodedEvent {
    const at = this.wasm.eventAt(i) >>> 0;
    const word = (offset: number): number => this.words[(at + offset) / 4] ?? 0;
    const long = (offset: number): bigint => this.hashes[(at + offset) / 8] ?? 0n;
    return {
      kind: word(0),
      tier: word(4),
      workerId: long(8),
      dpRank: word(16),
      eventId: long(24),
      blocks: word(40),
      hasDomain: (word(20) & hasDomainBit) !== 0,
    };
  }

  /** The rank of the `i`th decoded event, if it is bound. */
  rankOfEvent(i: number): number | undefined {
    const rank = this.wasm.rankOfEvent(i) >>> 0;
    return rank === noRank ? undefined : rank;
  }

  /** Applies the `i`th decoded event to a bound rank; returns an `outcome`. */
  applyEvent(i: number, rank: number): number {
    return this.#note(this.wasm.applyEvent(i, rank));
  }

  /** Applies the `i`th decoded event to the bound rank of a worker that has its dp_rank; an `outcome`, or undefined when there is none. */
  applyEventOf(i: number, workerId: bigint): number | undefined {
    const result = this.wasm.applyEventOf(i, workerId);
    return result >>> 0 === noRank ? undefined : this.#note(result);
  }

  /** Stores a chain of blocks on a tier, 0 to 3; returns an `outcome`. */
  store(tier: number, rank: number, parent: bigint | undefined, blocks: { tokens: BigUint64Array; blocks: BigUint64Array }): number {
    this.writeHashes(blocks.tokens, blocks.blocks);
    return this.#note(this.wasm.storeInput(tier, rank, parent === undefined ? 0 : 1, parent ?? 0n, blocks.tokens.length));
  }

  /** Removes blocks from a tier; returns an `outcome`. */
  remove(tier: number, rank: number, blocks: BigUint64Array): number {
    this.writeHashes(blocks);
    return this.#note(this.wasm.removeInput(tier, rank, blocks.length));
  }

  #note(result: number): number {
    if (result === outcome.full) this.#refused++;
    return result;
  }

  // ---- queries

  /** Looks token hashes up that are at an address of this memory, and says for how many ranks there is a score. */
  findAt(address: number, n: number, flags = 0): number {
    return this.wasm.find(address, n, flags);
  }

  /** Looks token hashes up and returns (rank, score) pairs, two numbers each: a copy, as a list, which costs less than an array of u32. */
  find(hashes: BigUint64Array, earlyExit = false): readonly number[] {
    const count = this.findAt(this.writeHashes(hashes), hashes.length, earlyExit ? 1 : 0);
    if (count === 0) return [];
    const { words } = this;
    const first = this.wasm.pairsArea() >>> 2;
    const pairs = new Array<number>(2 * count);
    for (let i = 0; i < 2 * count; i++) pairs[i] = words[first + i] as number;
    return pairs;
  }

  /** Looks token hashes up on all tiers; `tier` then has the blocks by rank. */
  findTiersAt(address: number, n: number): void {
    this.wasm.findTiers(address, n);
  }

  /** Blocks by rank of the last query on a tier, 0 to 3: only those beyond the tiers before it. */
  tier(tier: number): Uint32Array {
    const at = this.wasm.tierArea(tier) >>> 2;
    return this.words.subarray(at, at + this.wasm.rankCount());
  }

  /** How full it is. */
  counts(): CoreCounts {
    const { wasm } = this;
    return {
      nodes: wasm.nodeCount(),
      blocks: wasm.entryCount() >>> 0,
      lowerBlocks: wasm.tierEntryCount() >>> 0,
      bytes: wasm.heldByteCount(),
      memoryBytes: wasm.memory.buffer.byteLength,
      evictedBlocks: wasm.evictedBlockCount(),
      refused: this.#refused,
    };
  }
}
