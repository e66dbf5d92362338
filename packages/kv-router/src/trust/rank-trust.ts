import type { SourceState } from '../recovery/source.ts';
import { Verdicts } from './verdicts.ts';

/** How well a rank's cache events are heard, and whether its engine agrees with them. */
export type TrustState = 'live' | 'lagging' | 'gapped' | 'silent' | 'untrusted';

/** What placements go by: the rank's events, this router's own decisions in their place, or its load alone. */
export type TrustLevel = 'exact' | 'approximate' | 'load';

/** When a rank is believed, and when no longer. Numbers of our own: the real router believes every rank. */
export interface TrustRules {
  /** A recovery that takes longer makes a rank gapped, in milliseconds. */
  readonly lagMs: number;
  /** A rank that serves and says nothing for as long is silent, in milliseconds. */
  readonly silentMs: number;
  /** So many prompts must have brought it blocks that it should have told of. */
  readonly silentPrompts: number;
  /** How long between two attempts to hear everything again, and how long load alone counts before predictions are tried anew, in milliseconds. */
  readonly healMs: number;
}

/** The rules that routers use. */
const trustRules: TrustRules = { lagMs: 10_000, silentMs: 10_000, silentPrompts: 4, healMs: 30_000 };

/** How a rank's publisher is heard at a moment; undefined for a rank without one. */
export type Heard = { readonly state: SourceState; readonly cursor: number | undefined } | undefined;

/** What was expected of one prompt, and what the engine found, in tokens. */
export interface Evidence {
  /** From the events: of the device tier alone, and of all tiers. */
  readonly exact: { readonly least: number; readonly most: number };
  /** From this router's own decisions; absent while they are not kept. */
  readonly approximate?: number;
  /** What the engine says that it had cached. */
  readonly cached: number;
  /** By how much an expectation may be off: engines read the last block again, and blocks go while a request waits. */
  readonly slack: number;
}

/** Whether one rank's events can be believed: a small machine of facts and a clock (docs/router.md has its table). */
export class RankTrust {
  readonly #rules: TrustRules;
  readonly #exact = new Verdicts();
  readonly #approximate = new Verdicts();
  #heard: Heard;
  #cursor: number | undefined;
  #lagSince: number | undefined;
  /** Prompts that brought blocks since the last event, and when the first of them did. */
  #owed = 0;
  #owedSince = 0;
  #contradicted = false;
  #loadSince: number | undefined;
  #healedAt = -Infinity;
  #state: TrustState = 'lagging';
  #suspect = false;

  constructor(rules: TrustRules = trustRules) {
    this.#rules = rules;
  }

  get state(): TrustState {
    return this.#state;
  }

  get level(): TrustLevel {
    if (this.#state === 'live' || this.#state === 'lagging') return 'exact';
    return this.#loadSince === undefined ? 'approximate' : 'load';
  }

  /** Whether decisions for this rank should be kept, so that there is something to fall back on. */
  get suspect(): boolean {
    return this.#suspect;
  }

  /** Whether its events are complete as far as they were heard: only then an answer can contradict them. */
  get heard(): boolean {
    return this.#heard?.state === 'live';
  }

  /** Takes how the publisher is heard now, and lets time pass. */
  observe(heard: Heard, now: number): void {
    this.#heard = heard;
    if (heard?.cursor !== this.#cursor) {
      this.#cursor = heard?.cursor;
      this.#owed = 0;
    }
    if (heard?.state !== 'recovering') this.#lagSince = undefined;
    else this.#lagSince ??= now;
    this.#settle(now);
  }

  /** The rank has read a prompt that left it with blocks which it had not before. */
  owes(now: number): void {
    if (this.#owed === 0) this.#owedSince = now;
    this.#owed++;
    this.#settle(now);
  }

  /** An answer says what the engine had cached. */
  answered(evidence: Evidence, now: number): void {
    const { exact, approximate, cached, slack } = evidence;
    this.#exact.add(cached < exact.least - slack || cached > exact.most + slack);
    if (approximate !== undefined && this.level === 'approximate') this.#approximate.add(Math.abs(cached - approximate) > slack);
    this.#settle(now);
  }

  /** Whether the worker should be asked for everything again; saying so begins the wait until the next time. */
  heals(now: number): boolean {
    if (this.#state === 'live' || this.#state === 'lagging' || this.#heard === undefined) return false;
    if (now - this.#healedAt < this.#rules.healMs) return false;
    this.#healedAt = now;
    return true;
  }

  #settle(now: number): void {
    if (this.#exact.mostlyWrong) this.#contradicted = true;
    else if (this.#contradicted && this.#exact.mostlyRight) this.#contradicted = false;
    this.#state = this.#stateNow(now);
    this.#suspect = this.level !== 'exact' || this.#exact.someWrong || this.#isQuiet(now, this.#rules.silentMs / 2);
    if (this.level === 'exact') {
      this.#loadSince = undefined;
      this.#approximate.clear();
    } else if (this.#approximate.mostlyWrong && this.#loadSince === undefined) {
      this.#loadSince = now;
      this.#approximate.clear();
    } else if (this.#loadSince !== undefined && now - this.#loadSince >= this.#rules.healMs) this.#loadSince = undefined;
  }

  #stateNow(now: number): TrustState {
    const { lagMs, silentMs } = this.#rules;
    if (this.#contradicted) return 'untrusted';
    if (this.#heard?.state === 'degraded') return 'gapped';
    if (this.#lagSince !== undefined && now - this.#lagSince >= lagMs) return 'gapped';
    if (this.#isQuiet(now, silentMs)) return 'silent';
    return this.heard ? 'live' : 'lagging';
  }

  #isQuiet(now: number, forMs: number): boolean {
    return this.#owed >= this.#rules.silentPrompts && now - this.#owedSince >= forMs;
  }
}
