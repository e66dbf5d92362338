import type { Core, CoreCounts, CoreOptions, DecodedEvent } from '../core/core.ts';
import type { PromptHashes } from '../hash/block-hash.ts';
import type { RankTable } from '../ranks.ts';
import type { DumpedChain } from '../core/dump.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import type { KeptDecision, RankChain } from '../wire/router-state.ts';

/**
 * How many blocks of a prompt each rank holds, by rank number: on each tier only those that go on where the tiers before
 * it ended (spec kv-router 4).
 *
 * Views into the index's memory: valid until its next call.
 */
export interface Overlaps {
  readonly device: Uint32Array;
  readonly hostPinned: Uint32Array;
  readonly disk: Uint32Array;
  readonly external: Uint32Array;
}

/** What became of the events that were applied. */
export interface EventCounts {
  readonly ok: number;
  /** Stored behind a block that the rank does not have. */
  readonly noParent: number;
  readonly badSequence: number;
  /** Removed a block that the rank does not have: an engine whose hashes differ from its neighbours' causes many. */
  readonly noBlock: number;
  /** Refused for want of memory. */
  readonly full: number;
  readonly malformed: number;
  /** Of a residency domain that is not known, without effect. */
  readonly unsupported: number;
}

/** How full an index is and what it has seen. */
export interface IndexCounts extends CoreCounts {
  readonly events: EventCounts;
  /** The same by what the events said; malformed ones said nothing. */
  readonly byType: Readonly<Record<'stored' | 'removed' | 'cleared', EventCounts>>;
}

/** A message of events that lies decoded in the index's memory. Apply or leave each before the next call of the index. */
export interface EventBatch {
  readonly length: number;
  /** What the `i`th event is. */
  event(i: number): DecodedEvent;
  /** The same member by member, without an object: an `eventKind`. */
  kind(i: number): number;
  id(i: number): number;
  workerId(i: number): bigint;
  dpRank(i: number): number;
  /** Whether it is a `cleared` of an older publisher, which is meant for every domain (spec kv-router 2). */
  clearsEveryDomain(i: number): boolean;
  /** Applies the `i`th event to the rank that it names; returns an `outcome`. A malformed one has no effect. */
  apply(i: number): number;
}

/**
 * Knows, or guesses, which ranks hold which prefixes: the seam between ways to know it.
 *
 * Before a rank's number is released, every index must forget it.
 */
export interface PrefixIndex {
  /** Where prompts may be hashed, and where the table of blocks in work may lie. */
  readonly core: Core;
  /** How many blocks of a prompt each rank holds; as many numbers as there are ranks. */
  overlaps(prompt: PromptHashes): Overlaps;
  /** A request was sent to a rank: it will hold the prompt's blocks soon. */
  routed(prompt: PromptHashes, rank: number): void;
  /** Decodes a message of the `kv-events` topic, or the same in JSON. Nothing is applied yet. */
  decode(bytes: Uint8Array, format: 'msgpack' | 'json'): EventBatch;
  /** Applies one event; returns an `outcome`. */
  apply(event: RouterEvent): number;
  /** Forgets what a rank holds, not the rank. */
  clear(rank: number): void;
  /** Forgets a rank. */
  forget(rank: number): void;
  /** Everything that it knows, as the events that would tell it: parents before children, numbered from 0. */
  dump(): RouterEvent[];
  /** The same without an object for each block. Read at once: the index must not change meanwhile. */
  chains(): Iterable<DumpedChain>;
  /** Puts back a chain that was read elsewhere; returns an `outcome`. */
  restore(chain: RankChain): number;
  /** The decisions that still count, those that expire first at the front. */
  decisions(): Iterable<KeptDecision>;
  /** Takes over another router's decision. In the order of `decisions`. */
  remember(decision: KeptDecision): void;
  counts(): IndexCounts;
}

/** What an index is made of. */
export interface PrefixIndexOptions {
  /** The ranks' numbers, shared with all who use them. */
  readonly ranks: RankTable;
  /** Milliseconds that only go forward. */
  readonly clock: () => number;
  /** Caps on what it keeps. */
  readonly size?: CoreOptions;
  /** How long a prediction counts, in milliseconds: 120 000 by default (`router_ttl_secs`). */
  readonly ttlMs?: number;
  /** With `events`: also predict, and how long that counts (`router_predicted_ttl_secs`). Default: no predictions. */
  readonly predictedTtlMs?: number;
  /** With `approximate`: `lru` is taken and then records nothing, as in 1.6.1 (spec kv-router 6). */
  readonly policy?: 'ttl' | 'lru';
  /** With predictions: blocks by worker beyond which those that would expire first are dropped, default 1 048 576. */
  readonly maxPredicted?: number;
  /** To which part of `maxPredicted` they are then reduced, default 0.8. */
  readonly pruneRatio?: number;
}
