import { FixedTiming, MockEngine, type MockEngineOptions, type MockRequest, type Pass } from '@dynamo/internal';
import { LiveNames } from './live-names.ts';
import type { LiveRequest } from './live-request.ts';

/** One pass of a rank, when its effects are due. */
export interface RankPass {
  readonly dpRank: number;
  readonly engine: MockEngine;
  /** Undefined for a rank that had nothing to do while another worked. */
  readonly pass: Pass | undefined;
}

/** Hears of every pass of all ranks, after the requests have got their tokens; without a length when requests were only taken out. */
export type OnPass = (ranks: readonly RankPass[], seconds: number | undefined) => void;

interface Arrived {
  readonly request: LiveRequest;
  readonly maxOutputTokens: number;
}

/** How far the clock of the engine may lie behind before it gives up catching up, in milliseconds. */
const mostLagMs = 100;

/** Hours are not waited for in one go: a timer's limit. */
const longestTimerMs = 2 ** 31 - 1;

/**
 * Mock engines on a real clock: the ranks of one worker run their passes together, each as long as the slowest, and what a
 * pass did shows when it has ended.
 *
 * A pass begins when the last one ended by the model, even when a timer was late: the rate of tokens is the model's.
 */
export class LiveEngine implements AsyncDisposable {
  readonly ranks: readonly MockEngine[];
  readonly names: LiveNames;
  readonly #onPass: OnPass;
  readonly #clock: () => number;
  readonly #cancelled = new Set<LiveRequest>();
  readonly #arrived: Arrived[] = [];
  /** On decode workers: prompts that wait for room. */
  readonly #toFetch: Arrived[] = [];
  #wake: PromiseWithResolvers<void> | undefined;
  #stopped = false;
  readonly #loop: Promise<void>;

  constructor(
    options: MockEngineOptions,
    parts: { readonly ranks: number; readonly onPass: OnPass; readonly clock?: () => number; readonly onFailed?: (error: unknown) => void },
  ) {
    // A ratio of 0 means "no delays" where time is real.
    const engine = {
      ...options,
      ...(options.speedup === 0 ? { speedup: 1, timing: new FixedTiming(0, 0) } : {}),
      kvEvents: true,
      forwardPasses: true,
    };
    const first = new MockEngine(engine);
    this.names = new LiveNames(first.settings.blockSize, (sequence) => sequence.data as LiveRequest);
    this.ranks = Array.from({ length: parts.ranks }, () => new MockEngine(engine, { names: this.names }));
    this.#onPass = parts.onPass;
    this.#clock = parts.clock ?? ((): number => performance.now());
    this.#loop = this.#run().catch((error: unknown) => {
      parts.onFailed?.(error);
    });
  }

  /** Whether nothing runs or waits. */
  get idle(): boolean {
    return this.#arrived.length === 0 && this.ranks.every(({ idle }) => idle);
  }

  /** Hands a request over; the next pass may take it up. */
  submit(request: LiveRequest, maxOutputTokens: number): void {
    this.#arrived.push({ request, maxOutputTokens });
    this.#rouse();
  }

  /** Takes a request out before the next pass, and lets its reader go. */
  cancel(request: LiveRequest): void {
    this.#cancelled.add(request);
    request.wake();
    this.#rouse();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    this.#rouse();
    await this.#loop;
  }

  #rouse(): void {
    this.#wake?.resolve();
    this.#wake = undefined;
  }

  async #run(): Promise<void> {
    let now = this.#clock();
    while (!this.#stopped) {
      this.#settle();
      if (this.ranks.every(({ idle }) => idle)) {
        this.#wake = Promise.withResolvers();
        await this.#wake.promise;
        now = this.#clock();
        continue;
      }
      if (this.#clock() - now > mostLagMs) now = this.#clock();
      const passes = this.#begin(now);
      const endMs = passes.reduce((most, { pass }) => Math.max(most, pass?.endMs ?? now), now);
      await this.#until(endMs);
      this.#finish(passes);
      this.#onPass(passes, (endMs - now) / 1_000);
      if (endMs === now && passes.every(({ pass }) => pass === undefined || (pass.computedTokens === 0 && pass.emitted.length === 0)))
        await this.#nextArrival();
      now = endMs;
    }
  }

  /** Takes up what came, and takes out what was cancelled. */
  #settle(): void {
    for (const { request, maxOutputTokens } of this.#arrived.splice(0)) {
      if (this.#cancelled.delete(request)) continue;
      const engine = this.ranks[request.dpRank] as MockEngine;
      if (engine.settings.role === 'decode') this.#toFetch.push({ request, maxOutputTokens });
      else {
        request.sequence = engine.submit(this.#requestOf(request, maxOutputTokens));
        request.sequence.data = request;
      }
    }
    this.#fetch();
    if (this.#cancelled.size === 0) return;
    let freed = false;
    for (const request of this.#cancelled) {
      const at = this.#toFetch.findIndex((waiting) => waiting.request === request);
      if (at >= 0) this.#toFetch.splice(at, 1);
      if (request.sequence === undefined || request.sequence.state === 'completed' || request.sequence.state === 'rejected') continue;
      this.ranks[request.dpRank]?.cancel(request.sequence);
      freed = true;
    }
    this.#cancelled.clear();
    if (freed)
      this.#onPass(
        this.ranks.map((engine, dpRank) => ({ dpRank, engine, pass: undefined })),
        undefined,
      );
  }

  /** Takes room for prompts that prefill workers have read, in the order in which they came. */
  #fetch(): void {
    while (this.#toFetch.length > 0) {
      const { request, maxOutputTokens } = this.#toFetch[0] as Arrived;
      const engine = this.ranks[request.dpRank] as MockEngine;
      if (!engine.canHold(request.promptTokens)) request.push({ tokenId: undefined, end: 'rejected' });
      else {
        const reserved = engine.reserve(this.#requestOf(request, maxOutputTokens));
        if (reserved === undefined) return;
        reserved.data = request;
        request.sequence = reserved;
        // As 1.6.1 tells it: the block with the last token is never among them.
        const { blockSize } = engine.settings;
        request.cachedTokens = Math.min(reserved.cachedTokens, Math.floor((request.promptTokens - 1) / blockSize) * blockSize);
        engine.activate(reserved);
      }
      this.#toFetch.shift();
    }
  }

  #requestOf(request: LiveRequest, maxOutputTokens: number): MockRequest {
    const { local, sequence } = this.names.hashes(request.tokens, request);
    return { id: request.id, promptTokens: request.promptTokens, sequence, local, maxOutputTokens };
  }

  #begin(now: number): RankPass[] {
    return this.ranks.map((engine, dpRank) => {
      const pass = engine.idle ? undefined : engine.step(now);
      return { dpRank, engine, pass };
    });
  }

  #finish(passes: readonly RankPass[]): void {
    for (const { pass, engine } of passes) {
      if (pass === undefined) continue;
      // What a decode worker had of a prompt was found when room was made for it.
      if (engine.settings.role !== 'decode')
        for (const { sequence, cachedTokens } of pass.admissions) (sequence.data as LiveRequest).cachedTokens = cachedTokens;
      const ended = new Set(pass.completed);
      for (const sequence of pass.emitted) {
        const request = sequence.data as LiveRequest;
        const tokenId = request.reply(request.generated++);
        request.tokens.push(tokenId);
        request.push({ tokenId, end: ended.has(sequence) ? 'completed' : undefined });
      }
      for (const sequence of pass.completed) {
        // There is no cache that anybody could fetch: a prompt that was read is let go at once.
        if (engine.settings.role === 'prefill') engine.release(sequence);
        if (sequence.generated === 0) (sequence.data as LiveRequest).push({ tokenId: undefined, end: 'completed' });
      }
      for (const sequence of pass.rejected) (sequence.data as LiveRequest).push({ tokenId: undefined, end: 'rejected' });
    }
  }

  /** Waits until a moment; others get their turn even when it has passed. */
  async #until(moment: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const left = moment - this.#clock();
    if (left < 0.5) setImmediate(resolve);
    else setTimeout(resolve, Math.min(left, longestTimerMs));
    await promise;
  }

  /** An engine that can do nothing waits for its next request. */
  async #nextArrival(): Promise<void> {
    if (this.#stopped || this.#arrived.length > 0 || this.#cancelled.size > 0) return;
    this.#wake = Promise.withResolvers();
    await this.#wake.promise;
  }
}
