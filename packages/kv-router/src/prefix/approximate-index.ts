import { outcome } from '../core/core.ts';
import type { PromptHashes } from '../hash/block-hash.ts';
import { nothingDecoded } from './decoded-batch.ts';
import type { KeptDecision } from '../wire/router-state.ts';
import { HeldIndex } from './held-index.ts';
import type { EventBatch, Overlaps, PrefixIndex, PrefixIndexOptions } from './prefix-index.ts';

/** One decision: the blocks that a rank is expected to hold, until a later decision names them again or their time is over. */
interface Decision {
  readonly expiresMs: number;
  readonly rank: number;
  readonly stamp: number;
  readonly hashes: BigUint64Array;
}

/** A block that may have to go before its time. */
interface Candidate {
  readonly decision: Decision;
  readonly position: number;
  readonly hash: bigint;
}

/** Expiry is rounded up to whole buckets (spec kv-router 6). */
const bucketMs = 100;

/**
 * What workers probably hold, from where requests were sent (spec kv-router 6): each block counts for a while after the
 * last decision that contained it.
 *
 * Events have no effect. Nothing runs by itself: what is due goes with the next call.
 */
export class ApproximateIndex extends HeldIndex implements PrefixIndex {
  readonly #clock: () => number;
  readonly #ttlMs: number;
  readonly #records: boolean;
  readonly #most: number;
  readonly #target: number;
  /** In order of expiry, from `#first` on. */
  #decisions: Decision[] = [];
  #first = 0;
  #stamp = 0;
  #tracked = 0;

  constructor(options: PrefixIndexOptions) {
    super(options.ranks, options.size);
    this.#clock = options.clock;
    this.#ttlMs = options.ttlMs ?? 120_000;
    this.#records = options.policy !== 'lru';
    this.#most = options.maxPredicted ?? 1_048_576;
    this.#target = Math.trunc(this.#most * (options.pruneRatio ?? 0.8));
  }

  /** Blocks by worker that are expected now. */
  get tracked(): number {
    return this.#tracked;
  }

  override overlaps(prompt: PromptHashes): Overlaps {
    this.#expire();
    return super.overlaps(prompt);
  }

  routed(prompt: PromptHashes, rank: number): void {
    this.#record(prompt, rank, this.#ttlMs);
  }

  override *decisions(): Generator<KeptDecision> {
    this.#expire();
    const tokens = new Map<bigint, bigint>();
    for (const chain of this.chains()) chain.blocks.forEach((block, at) => tokens.set(block, chain.tokens[at] ?? 0n));
    const now = this.#clock();
    for (const { rank, expiresMs, hashes } of this.#decisions.slice(this.#first)) {
      // What was dropped before its time ends the path.
      const gone = hashes.findIndex((hash) => !tokens.has(hash));
      const sequence = gone < 0 ? hashes : hashes.subarray(0, gone);
      if (sequence.length === 0) continue;
      const local = sequence.map((hash) => tokens.get(hash) ?? 0n);
      yield { workerId: this.ranks.workerIdOf(rank), dpRank: this.ranks.dpRankOf(rank), leftMs: expiresMs - now, local, sequence };
    }
  }

  override remember({ workerId, dpRank, leftMs, local, sequence }: KeptDecision): void {
    this.#record({ local, sequence }, this.ranks.intern(workerId, dpRank), Math.min(leftMs, this.#ttlMs));
  }

  #record(prompt: PromptHashes, rank: number, ttlMs: number): void {
    this.#expire();
    const n = prompt.local.length;
    if (!this.#records || n === 0) return;
    const { core } = this;
    this.bind(rank);
    const before = core.wasm.stampCount(rank);
    this.#stamp = this.#stamp === 0xffff_ffff ? 1 : this.#stamp + 1;
    core.writePrompt(prompt.local, prompt.sequence);
    if (core.wasm.predict(rank, n, this.#stamp) !== outcome.ok) return;
    this.#tracked += core.wasm.stampCount(rank) - before;
    const soonest = this.#decisions.at(-1)?.expiresMs ?? 0;
    const expiresMs = Math.max(soonest, Math.ceil((this.#clock() + ttlMs) / bucketMs) * bucketMs);
    this.#decisions.push({ expiresMs, rank, stamp: this.#stamp, hashes: prompt.sequence.slice() });
    if (this.#tracked > this.#most) this.#prune();
  }

  override decode(): EventBatch {
    return nothingDecoded;
  }

  override apply(): number {
    return outcome.ok;
  }

  override clear(rank: number): void {
    this.#drop(rank);
    super.clear(rank);
  }

  override forget(rank: number): void {
    this.#drop(rank);
    super.forget(rank);
  }

  #drop(rank: number): void {
    this.#tracked -= this.core.wasm.stampCount(rank);
    this.#decisions = this.#decisions.slice(this.#first).filter((decision) => decision.rank !== rank);
    this.#first = 0;
  }

  override dump(): ReturnType<HeldIndex['dump']> {
    this.#expire();
    return super.dump();
  }

  #expire(): void {
    const now = this.#clock();
    for (let due = this.#decisions[this.#first]; due !== undefined && due.expiresMs <= now; due = this.#next()) this.#remove(due, due.hashes);
  }

  /** Passes over the first decision; what was passed over is cut off when it is half of the list. */
  #next(): Decision | undefined {
    this.#first++;
    if (this.#first > 64 && this.#first * 2 > this.#decisions.length) {
      this.#decisions.splice(0, this.#first);
      this.#first = 0;
    }
    return this.#decisions[this.#first];
  }

  /** Removes those of a decision's blocks that no later one has named. */
  #remove({ rank, stamp }: Decision, hashes: BigUint64Array): void {
    this.core.writeHashes(hashes);
    this.#tracked -= this.core.wasm.expireInput(rank, stamp, hashes.length);
  }

  /** Drops what would expire first, down to the target; of what expires together, the deepest blocks (spec kv-router 6). */
  #prune(): void {
    while (this.#tracked > this.#target) {
      const due = this.#decisions[this.#first];
      if (due === undefined) return;
      let end = this.#first;
      while (this.#decisions[end]?.expiresMs === due.expiresMs) end++;
      const candidates = this.#decisions.slice(this.#first, end).flatMap((decision) => this.#live(decision));
      const excess = this.#tracked - this.#target;
      if (candidates.length > excess) {
        this.#removeDeepest(candidates, excess);
        return;
      }
      for (let left = end - this.#first; left > 0; left--) {
        const decision = this.#decisions[this.#first];
        if (decision !== undefined) this.#remove(decision, decision.hashes);
        this.#next();
      }
    }
  }

  #live(decision: Decision): Candidate[] {
    const { rank, stamp, hashes } = decision;
    this.core.writeHashes(hashes);
    const live: Candidate[] = [];
    hashes.forEach((hash, position) => {
      if (this.core.wasm.hasStampInput(rank, stamp, position)) live.push({ decision, position, hash });
    });
    return live;
  }

  #removeDeepest(candidates: Candidate[], n: number): void {
    const order = (a: Candidate, b: Candidate): number =>
      b.position - a.position || (a.hash < b.hash ? 1 : a.hash > b.hash ? -1 : b.decision.rank - a.decision.rank);
    for (const { decision, hash } of candidates.toSorted(order).slice(0, n)) this.#remove(decision, BigUint64Array.of(hash));
  }
}
