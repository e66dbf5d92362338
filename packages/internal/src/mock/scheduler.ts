import { type BlockNames, simulatedNames } from './block-names.ts';
import type { BlockPool } from './block-pool.ts';
import { Deque } from './deque.ts';
import type { EngineSettings } from './options.ts';
import type { Admission } from './pass.ts';
import type { MockSequence } from './sequence.ts';

/** Hears which blocks of which request became findable. */
export type OnStored = (sequence: MockSequence, from: number, count: number) => void;

/** What is read in a pass, summed over the requests that read prompt tokens. */
export interface PrefillBatch {
  requests: number;
  /** Whatever they computed, tokens that they had generated before among them. */
  tokens: number;
  promptTokens: number;
  prefixTokens: number;
}

/** What became of one request's turn. */
const turn = { done: 0, blocked: 1, putBack: 2 } as const;

/**
 * Decides what one pass computes, as the real engine's scheduler does (spec mocker 3): running requests first, in the
 * order of their admission, then the head of the queue while there is room.
 */
export class Scheduler {
  readonly waiting: Deque<MockSequence> = new Deque();
  /** In order of admission. */
  readonly running: MockSequence[] = [];
  readonly pool: BlockPool;
  // What the present pass did so far.
  readonly admissions: Admission[] = [];
  readonly rejected: MockSequence[] = [];
  readonly batch: PrefillBatch = { requests: 0, tokens: 0, promptTokens: 0, prefixTokens: 0 };
  preemptions = 0;
  computedTokens = 0;
  budget = 0;
  readonly #settings: EngineSettings;
  readonly #names: BlockNames;
  readonly #onStored: OnStored | undefined;
  #pass = 0;
  // The last probe of the cache.
  readonly #found: number[] = [];
  #foundUsed = 0;

  constructor(settings: EngineSettings, parts: { pool: BlockPool; names?: BlockNames; onStored?: OnStored | undefined }) {
    this.#settings = settings;
    this.pool = parts.pool;
    this.#names = parts.names ?? simulatedNames;
    this.#onStored = parts.onStored;
  }

  /** The number of the pass that was planned last: what `MockSequence.pass` is compared with. */
  get pass(): number {
    return this.#pass;
  }

  /** Plans one pass: afterwards the requests of `running` whose tokens are all computed have earned their next token. */
  plan(): void {
    this.#pass++;
    this.budget = this.#settings.maxBatchedTokens;
    this.preemptions = 0;
    this.computedTokens = 0;
    this.admissions.length = 0;
    this.rejected.length = 0;
    this.batch.requests = 0;
    this.batch.tokens = 0;
    this.batch.promptTokens = 0;
    this.batch.prefixTokens = 0;
    this.#continueRunning();
    if (this.preemptions === 0) this.#admit();
  }

  /** Takes the blocks of a whole prompt that is read elsewhere; false, and nothing, while there is no room. */
  reserve(sequence: MockSequence): boolean {
    this.#probe(sequence, 0);
    if (this.running.length >= this.#settings.maxSequences || !this.#allocate(sequence, sequence.promptTokens)) return false;
    sequence.cachedTokens = this.#found.length * this.#settings.blockSize;
    return true;
  }

  /** The prompt of a reserved request has arrived: it waits for its turn to generate. */
  activate(sequence: MockSequence): void {
    sequence.computed = sequence.promptTokens;
    this.#publish(sequence);
    // Those for which room was made earlier come first, however long their prompts travelled.
    const later = [...this.waiting].filter((other) => other.computed > 0 && other.serial > sequence.serial);
    for (const other of later) this.waiting.remove(other);
    this.waiting.push(sequence);
    for (const other of later) this.waiting.push(other);
  }

  /** Gives a request's blocks back, the last first, so that prefixes live longer. */
  release(sequence: MockSequence): void {
    const { blocks } = sequence;
    for (let index = blocks.length - 1; index >= 0; index--) this.pool.release(blocks[index] as number);
    blocks.length = 0;
    sequence.published = 0;
  }

  #continueRunning(): void {
    const { running } = this;
    const { blockSize } = this.#settings;
    let at = 0;
    while (at < running.length && this.budget > 0) {
      const sequence = running[at] as MockSequence;
      const { computed } = sequence;
      // Most turns are this one: the token generated last, in a block that is there.
      if (
        sequence.generated > 0 &&
        computed >= sequence.promptTokens &&
        computed + 1 === sequence.promptTokens + sequence.generated &&
        computed < sequence.blocks.length * blockSize
      ) {
        this.#count(sequence, computed, computed + 1);
        if ((computed + 1) % blockSize === 0) this.#publish(sequence);
        at++;
        continue;
      }
      const result = this.#turn(sequence);
      if (result === turn.blocked) break;
      // As in 1.6.1: where an older request made room, everyone moves up and the next one misses its turn.
      if (result !== turn.putBack) at++;
    }
  }

  #admit(): void {
    const { running, waiting } = this;
    while (running.length < this.#settings.maxSequences) {
      const head = waiting.first;
      if (head === undefined) return;
      if (head.computed > 0) {
        // Its prompt was read elsewhere and lies in blocks of its own.
        if (this.#turn(head) !== turn.done) return;
        continue;
      }
      if (this.#isHopeless(head)) {
        waiting.shift();
        head.state = 'rejected';
        this.rejected.push(head);
        continue;
      }
      if (!this.#fits(head)) return this.#admitArrived();
      const before = this.budget;
      if (this.#turn(head) !== turn.done) return;
      if (before === this.budget && this.budget === 0) return;
    }
  }

  /** Nobody runs and the head finds no room: those go on whose prompts lie in the cache already, or nobody ever would. */
  #admitArrived(): void {
    if (this.running.length > 0) return;
    for (const arrived of [...this.waiting].filter(({ computed }) => computed > 0)) {
      if (this.running.length >= this.#settings.maxSequences) return;
      this.waiting.remove(arrived);
      this.waiting.unshift(arrived);
      if (this.#turn(arrived) !== turn.done) return;
    }
  }

  #isHopeless(sequence: MockSequence): boolean {
    const { maxModelLength, blockSize, blocks, backend } = this.#settings;
    if (sequence.promptTokens >= maxModelLength) return true;
    if (backend === 'trtllm') {
      // A request may fill the cache and no more, and must have room for one token.
      const room = blocks * blockSize - sequence.promptTokens;
      if (room <= 0) return true;
      sequence.maxOutputTokens = Math.min(sequence.maxOutputTokens, room);
    }
    return sequence.preemptions === 0 && Math.ceil(sequence.length / blockSize) > blocks;
  }

  /** Whether the request would find room now, beside what is in use; under `trtllm` also beside what others will come to use. */
  #fits(sequence: MockSequence): boolean {
    const { blockSize, backend } = this.#settings;
    this.#probe(sequence);
    const free = this.pool.capacity - this.pool.active;
    if (backend === 'vllm') return Math.ceil(sequence.length / blockSize) - this.#foundUsed <= free;
    let promised = 0;
    for (const other of this.running) promised += this.#blocksAtEnd(other) - other.blocks.length;
    return this.#blocksAtEnd(sequence) - this.#foundUsed <= free - promised;
  }

  #blocksAtEnd({ promptTokens, maxOutputTokens }: MockSequence): number {
    return Math.ceil((promptTokens + maxOutputTokens) / this.#settings.blockSize);
  }

  /** Finds the leading blocks of a request that are in the cache, without the tokens that must be computed anyway. */
  #probe(sequence: MockSequence, spared: number = this.#sparedTokens(sequence)): void {
    this.#found.length = 0;
    this.#foundUsed = 0;
    const { prefixCaching, blockSize } = this.#settings;
    if (!prefixCaching) return;
    const { length, names } = sequence;
    const reach = Math.floor((length - spared) / blockSize);
    const count = Math.min(reach, sequence.named);
    for (let index = 0; index < count; index++) {
      const slot = this.pool.find(names[2 * index] as number, names[2 * index + 1] as number);
      if (slot < 0) return;
      this.#found.push(slot);
      if (this.pool.isUsed(slot)) this.#foundUsed++;
    }
  }

  /** Under `vllm` the last token of a request that goes on is always computed. */
  #sparedTokens({ generated, maxOutputTokens }: MockSequence): number {
    return this.#settings.backend === 'vllm' && generated < maxOutputTokens ? 1 : 0;
  }

  /** Gives one request as many tokens of the budget as it needs and can get, at the cost of others if need be. */
  #turn(sequence: MockSequence): (typeof turn)[keyof typeof turn] {
    const { blockSize, chunkedPrefill } = this.#settings;
    const fresh = sequence.computed === 0;
    if (fresh) this.#probe(sequence);
    else this.#found.length = 0;
    const before = sequence.computed + this.#found.length * blockSize;
    const need = sequence.length - before;
    if (!chunkedPrefill && need > this.budget) return turn.blocked;
    const want = Math.min(need, this.budget);
    if (want === 0 && need > 0) return turn.blocked;
    while (!this.#allocate(sequence, before + want)) {
      const victim = this.#victim();
      if (victim === undefined) return turn.blocked;
      this.#putBack(victim);
      if (victim === sequence) return turn.putBack;
      if (fresh) this.#probe(sequence);
    }
    if (sequence.state === 'waiting') this.#enter(sequence, before);
    this.#count(sequence, before, before + want);
    this.#publish(sequence);
    return turn.done;
  }

  #enter(sequence: MockSequence, before: number): void {
    this.waiting.shift();
    sequence.state = 'running';
    const cachedTokens = sequence.computed > 0 ? 0 : before;
    sequence.cachedTokens = cachedTokens;
    this.running.push(sequence);
    this.admissions.push({ sequence, cachedTokens });
  }

  /** Takes the blocks for the first `tokens` tokens: those that were found, then fresh ones; all of them or none. */
  #allocate(sequence: MockSequence, tokens: number): boolean {
    const { pool } = this;
    const found = this.#found;
    const fresh = Math.ceil(tokens / this.#settings.blockSize) - sequence.blocks.length - found.length;
    if (fresh > 0) {
      let revived = 0;
      for (const slot of found) if (!pool.isUsed(slot)) revived++;
      if (fresh > pool.available - revived) return false;
    }
    for (const slot of found) {
      pool.reuse(slot);
      sequence.blocks.push(slot);
    }
    sequence.published += found.length;
    for (let count = 0; count < fresh; count++) sequence.blocks.push(pool.take());
    return true;
  }

  #count(sequence: MockSequence, before: number, after: number): void {
    const { promptTokens } = sequence;
    sequence.computed = after;
    sequence.pass = this.#pass;
    sequence.passTokens = after - before;
    sequence.passPrefix = before;
    sequence.passPromptTokens = before < promptTokens ? Math.min(promptTokens, after) - before : 0;
    this.budget -= after - before;
    this.computedTokens += after - before;
    if (sequence.passPromptTokens > 0) this.#batch(sequence, 1);
  }

  #batch(sequence: MockSequence, sign: 1 | -1): void {
    this.batch.requests += sign;
    this.batch.tokens += sign * sequence.passTokens;
    this.batch.promptTokens += sign * sequence.passPromptTokens;
    this.batch.prefixTokens += sign * sequence.passPrefix;
  }

  /** Makes the blocks findable that are complete now. */
  #publish(sequence: MockSequence): void {
    const { prefixCaching, blockSize } = this.#settings;
    if (!prefixCaching) return;
    const end = Math.floor(sequence.computed / blockSize);
    let from = sequence.published;
    for (let index = from; index < end; index++) {
      if (index >= sequence.named) this.#names.name(sequence);
      const isNew = this.pool.publish(sequence.blocks[index] as number, sequence.names[2 * index] as number, sequence.names[2 * index + 1] as number);
      if (isNew) continue;
      if (index > from) this.#onStored?.(sequence, from, index - from);
      from = index + 1;
    }
    if (end > from) this.#onStored?.(sequence, from, end - from);
    sequence.published = Math.max(sequence.published, end);
  }

  #victim(): MockSequence | undefined {
    return this.#settings.preemption === 'lifo' ? this.running.at(-1) : this.running[0];
  }

  /** Puts a running request back to the front of the queue: what it did in this pass is undone, its tokens stay. */
  #putBack(victim: MockSequence): void {
    this.running.splice(this.running.indexOf(victim), 1);
    if (victim.pass === this.#pass) {
      this.budget += victim.passTokens;
      this.computedTokens -= victim.passTokens;
      if (victim.passPromptTokens > 0) this.#batch(victim, -1);
      victim.pass = -1;
    }
    this.release(victim);
    victim.computed = 0;
    victim.state = 'waiting';
    victim.preemptions++;
    this.preemptions++;
    this.waiting.unshift(victim);
  }
}
