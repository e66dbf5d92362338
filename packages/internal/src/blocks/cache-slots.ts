import { DynamoError } from '@dynamo/runtime';
import type { KvChange, Tier } from '@dynamo/kv-router/internal';
import { BlockList } from './block-list.ts';
import type { Block } from './block.ts';
import { type BlockSalt, type TokenBlock, tokenList } from './block-hasher.ts';
import { type BlockManager, eventsOf } from './block-manager.ts';

/** A step of one request, as a scheduler sees it. */
export interface SlotUpdate {
  requestId: string;
  /** Tokens that joined the sequence since the last step. */
  tokensToAppend?: readonly number[];
  /** Tokens of the sequence, from its start, whose cache has been computed or brought by now; never less than before. */
  computedTokens?: number;
  /** Tokens that this step will compute beyond those, brought ones among them: blocks are made for them. */
  newTokens: number;
  /** Blocks beyond that, for tokens that are only guessed. */
  lookaheadBlocks?: number;
}

interface Slot {
  readonly salt: BlockSalt;
  tokens: number[];
  /** The full blocks of the tokens. */
  named: TokenBlock[];
  /** Held in order: registered ones first, then those in work. */
  blocks: Block[];
  registered: number;
  computed: number;
  looked: boolean;
  /** What lower tiers hold beyond the registered ones, until it is brought. */
  lower: BlockList[];
}

/**
 * The blocks of requests, as an engine's scheduler asks for them: what is cached, what more is needed, what is free
 * (spec block-manager 6).
 *
 * It works in the manager's first tier; what lower tiers hold of a prompt is brought by `triggerOnboard`.
 */
export class CacheSlots {
  readonly #manager: BlockManager;
  readonly #slots = new Map<string, Slot>();

  constructor(manager: BlockManager) {
    this.#manager = manager;
    eventsOf(manager).keep();
  }

  /** Opens the slot of a request and returns the sequence hashes of its full blocks. */
  createSlot(request: BlockSalt & { requestId: string }, tokens: readonly number[]): bigint[] {
    const { requestId, ...salt } = request;
    if (this.#slots.has(requestId)) throw new DynamoError('invalid_argument', `request '${requestId}' has a slot already`, { data: { requestId } });
    const named = this.#manager.tokenBlocks(tokens, salt);
    this.#slots.set(requestId, { salt, tokens: [...tokens], named, blocks: [], registered: 0, computed: 0, looked: false, lower: [] });
    return named.map(({ sequenceHash }) => sequenceHash);
  }

  hasSlot(requestId: string): boolean {
    return this.#slots.has(requestId);
  }

  /** The blocks of the first tier that hold the start of the prompt, held for the request from now on. One token at least is left to compute. */
  getComputedBlocks(requestId: string): number[] {
    const slot = this.#slot(requestId);
    this.#look(slot);
    return slot.blocks.slice(0, slot.registered).map(({ id }) => id);
  }

  /** How many tokens beyond the computed ones lower tiers hold, and whether they have to be brought by `triggerOnboard`. */
  getNumNewMatchedTokens(requestId: string, numTokens: number, numComputed: number): [tokens: number, isAsync: boolean] {
    const slot = this.#slot(requestId);
    const { pageSize } = this.#manager;
    if (numTokens !== slot.tokens.length || numComputed % pageSize !== 0 || numComputed > numTokens)
      throw new DynamoError(
        'invalid_argument',
        `request '${requestId}' has ${slot.tokens.length} tokens: ${numComputed} of ${numTokens} can't be computed`,
      );
    this.#look(slot);
    if (numComputed > slot.registered * pageSize) return [0, false];
    const found = slot.lower.reduce((sum, list) => sum + list.length, 0);
    const tokens = (slot.registered + found) * pageSize - numComputed;
    return [tokens, found > 0];
  }

  /** Makes the blocks that a step needs and returns the numbers of the new ones, or null where there is no room; then nothing has changed. */
  allocateSlots(update: SlotUpdate): number[] | null {
    const slot = this.#slot(update.requestId);
    const { first, pageSize } = this.#manager;
    const { tokensToAppend = [], newTokens, lookaheadBlocks = 0, computedTokens = Math.max(slot.computed, slot.registered * pageSize) } = update;
    const all = slot.tokens.length + tokensToAppend.length;
    if (!isCount(newTokens) || !isCount(lookaheadBlocks) || !isCount(computedTokens) || computedTokens < slot.computed || computedTokens > all)
      throw new DynamoError('invalid_argument', `the step of request '${update.requestId}' can't be`, {
        data: { newTokens, lookaheadBlocks, computedTokens },
      });
    if (computedTokens > slot.blocks.length * pageSize)
      throw new DynamoError('invalid_argument', `request '${update.requestId}' has no blocks for ${computedTokens} computed tokens`);
    const more = Math.max(0, Math.ceil((computedTokens + newTokens) / pageSize) + lookaheadBlocks - slot.blocks.length);
    const appended = tokenList(tokensToAppend);
    if (more > first.capacity - first.status.active) return null;
    for (const token of appended) slot.tokens.push(token);
    this.#computed(slot, computedTokens);
    const made = first.allocate(more).toList();
    slot.blocks.push(...made);
    return made.map(({ id }) => id);
  }

  /** Brings what lower tiers hold of the prompt into the blocks allocated for it; the request then has those tokens computed. */
  async triggerOnboard(requestId: string): Promise<void> {
    const slot = this.#slot(requestId);
    const { pageSize } = this.#manager;
    const lower = slot.lower;
    slot.lower = [];
    try {
      for (const list of lower) {
        const targets = slot.blocks.slice(slot.registered, slot.registered + list.length);
        const brought = await this.#bring(list, targets);
        slot.blocks.splice(slot.registered, list.length, ...brought);
        slot.registered += list.length;
        slot.computed = Math.max(slot.computed, slot.registered * pageSize);
      }
    } finally {
      for (const list of lower) list[Symbol.dispose]();
    }
  }

  /** Gives the blocks of a request back, the end of its sequence first; its hashes stay until `freeBlockHashes`. */
  free(requestId: string): void {
    const slot = this.#slot(requestId);
    for (const list of slot.lower) list[Symbol.dispose]();
    new BlockList(slot.blocks)[Symbol.dispose]();
    Object.assign(slot, { blocks: [], lower: [], registered: 0, computed: 0, looked: false });
  }

  /** Closes the slot. */
  freeBlockHashes(requestId: string): void {
    this.free(requestId);
    this.#slots.delete(requestId);
  }

  getBlockIds(requestId: string): number[] {
    return this.#slot(requestId).blocks.map(({ id }) => id);
  }

  /** How many tokens of the request need no more computing. */
  numComputedTokens(requestId: string): number {
    const slot = this.#slot(requestId);
    return Math.max(slot.computed, slot.registered * this.#manager.pageSize);
  }

  /** Share of the first tier's blocks that are in use, 0 to 1. */
  usage(): number {
    const { first } = this.#manager;
    return first.status.active / first.capacity;
  }

  /** Forgets everything cached in the first tier; false while blocks are in use. */
  resetPrefixCache(): boolean {
    const { first } = this.#manager;
    if (first.status.active > 0) return false;
    first.reset();
    return true;
  }

  /** What tiers stored and removed since the last call. */
  takeEvents(): { tier: Tier; change: KvChange }[] {
    return eventsOf(this.#manager).take();
  }

  #slot(requestId: string): Slot {
    const slot = this.#slots.get(requestId);
    if (slot === undefined) throw new DynamoError('not_found', `request '${requestId}' has no slot`, { data: { requestId } });
    return slot;
  }

  /** Looks once what is held of the prompt, and holds it. */
  #look(slot: Slot): void {
    if (slot.looked || slot.blocks.length > 0) return;
    slot.looked = true;
    // One token at least has to be computed, or there would be nothing to sample from.
    const most = Math.floor(Math.max(0, slot.tokens.length - 1) / this.#manager.pageSize);
    const { first } = this.#manager;
    const matches = this.#manager.match(slot.named.slice(0, most).map(({ sequenceHash }) => sequenceHash));
    slot.blocks = matches[first.name].toList();
    slot.registered = slot.blocks.length;
    slot.computed = slot.registered * this.#manager.pageSize;
    slot.lower = (['host', 'disk'] as const).flatMap((name) => (name !== first.name && matches[name].length > 0 ? [matches[name]] : []));
  }

  /** Registers the blocks that are full of computed tokens. */
  #computed(slot: Slot, tokens: number): void {
    const { first, pageSize } = this.#manager;
    slot.computed = tokens;
    const full = Math.floor(tokens / pageSize);
    const last = slot.named.at(-1);
    if (full > slot.named.length)
      slot.named.push(...this.#manager.tokenBlocks(slot.tokens.slice(slot.named.length * pageSize, full * pageSize), slot.salt, last));
    const complete = slot.blocks.slice(slot.registered, full);
    if (complete.length === 0) return;
    for (const [at, block] of complete.entries()) block.applyTokenBlock(slot.named[slot.registered + at] as TokenBlock);
    slot.blocks.splice(slot.registered, complete.length, ...first.register(complete));
    slot.registered = full;
  }

  /** A block whose bytes can't be read is forgotten, so that the next request computes it. */
  async #bring(list: BlockList, targets: readonly Block[]): Promise<BlockList> {
    try {
      return await this.#manager.onboard(list, { targets: new BlockList(targets) });
    } catch (error) {
      const hashes = list.toList().flatMap(({ content }) => content?.sequenceHash ?? []);
      const tier = this.#manager[list.at(0).tier];
      list[Symbol.dispose]();
      if (DynamoError.is(error, 'unavailable')) tier?.resetBlocks(hashes);
      throw error;
    }
  }
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
