import { BlockPool } from './block-pool.ts';
import type { BlockNames } from './block-names.ts';
import { charged } from './nanoseconds.ts';
import { type EngineSettings, engineSettings, type MockEngineOptions } from './options.ts';
import type { CacheChange, Pass } from './pass.ts';
import { forwardPassOf } from './forward-pass.ts';
import { Scheduler } from './scheduler.ts';
import { type MockRequest, MockSequence } from './sequence.ts';

/** How full a rank is. */
export interface EngineLoad {
  readonly activeBlocks: number;
  readonly totalBlocks: number;
  readonly running: number;
  readonly waiting: number;
  /** How often requests were put back since the start. */
  readonly preemptions: number;
}

/**
 * One rank of the real mock engine on a virtual clock: the same admissions, preemptions, cache and durations to the
 * nanosecond (spec mocker 2-5). It does nothing by itself: `submit` requests, and `step` whenever the last pass has ended.
 *
 * @example
 * ```ts
 * const engine = new MockEngine({ blockSize: 16 });
 * engine.submit({ id: 'a', promptTokens: 40, sequence: hashes, maxOutputTokens: 3 });
 * for (let now = 0; !engine.idle; now = engine.step(now).endMs);
 * ```
 */
export class MockEngine {
  readonly settings: EngineSettings;
  readonly #scheduler: Scheduler;
  readonly #pool: BlockPool;
  readonly #changes: CacheChange[] = [];
  readonly #emitted: MockSequence[] = [];
  readonly #completed: MockSequence[] = [];
  readonly #pass: { -readonly [K in keyof Pass]: Pass[K] };
  #evicted: bigint[] = [];
  #preemptions = 0;
  #serial = 0;

  constructor(options: MockEngineOptions = {}, parts: { names?: BlockNames } = {}) {
    this.settings = engineSettings(options);
    const { kvEvents, blocks } = this.settings;
    this.#pool = kvEvents ? new BlockPool(blocks, { evicted: (low, high) => void this.#evicted.push(joined(low, high)) }) : new BlockPool(blocks);
    this.#scheduler = new Scheduler(this.settings, {
      ...parts,
      pool: this.#pool,
      onStored: kvEvents ? (sequence, from, count) => this.#stored(sequence, from, count) : undefined,
    });
    this.#pass = {
      startMs: 0,
      prefillEndMs: 0,
      endMs: 0,
      emitted: this.#emitted,
      completed: this.#completed,
      rejected: this.#scheduler.rejected,
      admissions: this.#scheduler.admissions,
      preemptions: 0,
      computedTokens: 0,
      prefillTokens: 0,
      changes: this.#changes,
      forward: undefined,
    };
  }

  /** Nothing runs and nothing waits. */
  get idle(): boolean {
    return this.#scheduler.running.length === 0 && this.#scheduler.waiting.length === 0;
  }

  /** How full the rank is now. */
  get load(): EngineLoad {
    return {
      activeBlocks: this.#pool.active,
      totalBlocks: this.settings.blocks,
      running: this.#scheduler.running.length,
      waiting: this.#scheduler.waiting.length,
      preemptions: this.#preemptions,
    };
  }

  /** Queues a request; the next step may take it up. */
  submit(request: MockRequest): MockSequence {
    const sequence = new MockSequence(request, ++this.#serial);
    if (this.settings.role === 'prefill') sequence.maxOutputTokens = 1;
    this.#scheduler.waiting.push(sequence);
    return sequence;
  }

  /** Takes a request out, whatever it does; between passes only. */
  cancel(sequence: MockSequence): void {
    if (sequence.state === 'waiting') this.#scheduler.waiting.remove(sequence);
    else if (sequence.state === 'running') this.#scheduler.running.splice(this.#scheduler.running.indexOf(sequence), 1);
    else return;
    sequence.state = 'cancelled';
    this.#scheduler.release(sequence);
  }

  /** Whether a prompt could ever be held beside nothing else. */
  canHold(promptTokens: number): boolean {
    return Math.ceil(promptTokens / this.settings.blockSize) <= this.settings.blocks && promptTokens < this.settings.maxModelLength;
  }

  /**
   * Takes blocks for a prompt that a prefill engine has read, on a decode engine and between passes.
   *
   * @returns undefined while there is no room for its blocks, or for one more request.
   */
  reserve(request: MockRequest): MockSequence | undefined {
    const sequence = new MockSequence(request, ++this.#serial);
    return this.#scheduler.reserve(sequence) ? sequence : undefined;
  }

  /** The prompt of a reserved request has arrived. Between passes: one of the next generates its first token. */
  activate(sequence: MockSequence): void {
    this.#scheduler.activate(sequence);
  }

  /** Gives the blocks of a completed request back: a prefill engine keeps them until its prompt has been fetched. */
  release(sequence: MockSequence): void {
    if (sequence.state === 'completed') this.#scheduler.release(sequence);
  }

  /** Runs one pass that starts now. */
  step(nowMs: number): Pass {
    const { batch } = this.#scheduler;
    this.#changes.length = 0;
    this.#scheduler.plan();
    this.#flushEvicted();
    const pass = this.#pass;
    pass.startMs = nowMs;
    pass.preemptions = this.#scheduler.preemptions;
    pass.computedTokens = this.#scheduler.computedTokens;
    pass.prefillTokens = batch.tokens;
    pass.forward = this.settings.forwardPasses ? forwardPassOf(this.#scheduler) : undefined;
    this.#preemptions += pass.preemptions;
    pass.prefillEndMs = nowMs + this.#prefillMs(batch.requests, batch.promptTokens, batch.prefixTokens);
    pass.endMs = pass.prefillEndMs + this.#emit();
    return pass;
  }

  #prefillMs(count: number, promptTokens: number, prefixTokens: number): number {
    const { role, timing, speedup } = this.settings;
    if (role === 'decode' || count === 0) return 0;
    const meanPrompt = Math.floor((prefixTokens + promptTokens) / count);
    const meanNew = Math.max(0, meanPrompt - Math.floor(prefixTokens / count));
    return charged(timing.prefillMs(count, meanNew, meanPrompt), speedup);
  }

  /** Gives every request that is up to date its token, ends those that have all of them, and says how long that takes. */
  #emit(): number {
    const { running, pass } = this.#scheduler;
    const { role, maxModelLength } = this.settings;
    this.#emitted.length = 0;
    this.#completed.length = 0;
    let active = 0;
    let decoding = 0;
    let kept = 0;
    for (let at = 0; at < running.length; at++) {
      const sequence = running[at] as MockSequence;
      const { length } = sequence;
      if (sequence.computed === length) {
        if (sequence.generated < sequence.maxOutputTokens) {
          // A first token is paid by reading the prompt, unless nothing of it had to be read; a decode worker pays no reading, so it pays this.
          if (role === 'decode' || sequence.generated > 0 || sequence.pass !== pass || sequence.passPromptTokens === 0) {
            active += length;
            decoding++;
          }
          sequence.generated++;
          this.#emitted.push(sequence);
        }
        if (sequence.generated >= sequence.maxOutputTokens || length + 1 >= maxModelLength) {
          sequence.state = 'completed';
          this.#completed.push(sequence);
          // As in 1.6.1: what ends without a token gives its blocks back before what ends with one.
          if (sequence.generated === 0 && role !== 'prefill') this.#scheduler.release(sequence);
          continue;
        }
      }
      running[kept++] = sequence;
    }
    running.length = kept;
    if (role !== 'prefill') for (const sequence of this.#completed) this.#scheduler.release(sequence);
    return decoding === 0 || role === 'prefill' ? 0 : this.#decodeMs(active, decoding);
  }

  #decodeMs(active: number, decoding: number): number {
    const { blocks, blockSize, timing, speedup, decodeSpeedup } = this.settings;
    return charged(timing.decodeMs(active, blocks * blockSize, active / decoding), speedup * decodeSpeedup);
  }

  #stored(sequence: MockSequence, from: number, count: number): void {
    this.#flushEvicted();
    this.#changes.push({ type: 'stored', sequence, from, count });
  }

  #flushEvicted(): void {
    if (this.#evicted.length === 0) return;
    this.#changes.push({ type: 'removed', hashes: BigUint64Array.from(this.#evicted) });
    this.#evicted = [];
  }
}

const joined = (low: number, high: number): bigint => (BigInt(high) << 32n) | BigInt(low);
