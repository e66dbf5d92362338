import { type Core, type DecodedEvent, eventKind, outcome } from '../core/core.ts';
import type { EventBatch } from './prefix-index.ts';

// Where a decoded event has what, in bytes; see core/assembly/decoded.ts.
const kindAt = 0;
const workerAt = 8;
const rankAt = 16;
const seenAt = 20;
const idAt = 24;
const hasDomainBit = 16;

/** The message that lies decoded in a core's memory. One object a core: reading an event makes none. */
export class DecodedBatch implements EventBatch {
  readonly #core: Core;
  readonly #rankOf: (workerId: bigint, dpRank: number) => number;
  readonly #note: (kind: number, result: number) => number;
  length = 0;

  /** `rankOf` gives a rank that the core does not know yet its number; `note` counts what became of an event. */
  constructor(core: Core, parts: { rankOf: (workerId: bigint, dpRank: number) => number; note: (kind: number, result: number) => number }) {
    this.#core = core;
    this.#rankOf = parts.rankOf;
    this.#note = parts.note;
  }

  event(i: number): DecodedEvent {
    return this.#core.event(i);
  }

  kind(i: number): number {
    return this.#word(i, kindAt);
  }

  id(i: number): number {
    return this.#word(i, idAt) + this.#word(i, idAt + 4) * 2 ** 32;
  }

  workerId(i: number): bigint {
    return this.#core.hashes[(this.#at(i) + workerAt) / 8] ?? 0n;
  }

  dpRank(i: number): number {
    return this.#word(i, rankAt);
  }

  clearsEveryDomain(i: number): boolean {
    return this.kind(i) === eventKind.cleared && (this.#word(i, seenAt) & hasDomainBit) === 0;
  }

  apply(i: number): number {
    const kind = this.kind(i);
    if (kind === eventKind.malformed) return this.#note(kind, outcome.malformed);
    if (kind === eventKind.unsupported) return this.#note(kind, outcome.unsupported);
    const rank = this.#core.rankOfEvent(i) ?? this.#rankOf(this.workerId(i), this.dpRank(i));
    return this.#note(kind, this.#core.applyEvent(i, rank));
  }

  #at(i: number): number {
    return this.#core.wasm.eventAt(i) >>> 0;
  }

  #word(i: number, offset: number): number {
    return this.#core.words[(this.#at(i) + offset) / 4] ?? 0;
  }
}

const none = (i: number): never => {
  throw new RangeError(`there is no event ${i}`);
};

/** What indexes without events decode. */
export const nothingDecoded: EventBatch = {
  length: 0,
  event: none,
  kind: none,
  id: none,
  workerId: none,
  dpRank: none,
  clearsEveryDomain: none,
  apply: none,
};
