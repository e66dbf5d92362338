import type { PromptHashes } from '../hash/block-hash.ts';
import type { Clock } from '../load/clock.ts';
import type { PrefixIndex } from '../prefix/prefix-index.ts';
import type { Ranks } from '../ranks.ts';
import type { CacheTrust } from '../select/receipt.ts';
import type { TierOverlaps } from '../select/selector.ts';
import type { SourceReport } from '../sources/kv-sources.ts';
import { RankTrust, type TrustLevel, type TrustState } from './rank-trust.ts';

/** What a trust table is made of. */
export interface TrustParts {
  readonly ranks: Ranks;
  readonly blockSize: number;
  readonly clock: Clock;
  /** Whether ranks that are not believed are judged by something else; otherwise it is only told. */
  readonly acts: boolean;
  /** Opens what keeps this router's own decisions: made when a first rank comes under suspicion. */
  readonly predictions: () => PrefixIndex;
  /** Asks the worker for everything again. */
  readonly heal: (publisher: bigint) => void;
  /** Told of each change of a rank's state. */
  readonly changed?: (change: { readonly rank: number; readonly state: TrustState; readonly level: TrustLevel }) => void;
}

/** What was known of a prompt on the rank that it went to, for when the answer comes. */
export interface Expectation {
  readonly rank: number;
  readonly blocks: number;
  /** Blocks of the device tier and of all tiers, as the events have it. */
  readonly device: number;
  readonly all: number;
  readonly predicted?: number;
  /** Whether the rank's events were complete then. */
  readonly heard: boolean;
}

/** An answer that knows of more than the rank had told of. */
interface Late {
  readonly expected: Expectation;
  readonly cached: number;
  readonly holds: () => number;
  readonly trust: RankTrust;
  readonly at: number;
}

/** How long events may be on their way, in milliseconds, and how many answers may wait for them; what comes beyond is not judged. */
const lateMs = 1_000;
const mostLate = 256;

/** By how many blocks an expectation may be off: engines read the last block again, and blocks go while a request waits. */
const slackOf = ({ blocks }: Expectation): number => Math.max(2, Math.ceil(blocks / 10));

/** Keeps what each rank's events are worth, and puts something else in their place for those ranks that are not believed. */
export class TrustTable {
  readonly #parts: TrustParts;
  readonly #ranks = new Map<number, RankTrust>();
  readonly #told = new Map<number, TrustState>();
  #reports = new Map<number, SourceReport>();
  #predictions: PrefixIndex | undefined;
  #lowered: readonly number[] = [];
  /** By rank, for those lowered: what the events said before it was replaced. */
  /** In the order in which they came. */
  readonly #late: Late[] = [];
  readonly #said = new Map<number, { device: number; all: number }>();

  constructor(parts: TrustParts) {
    this.#parts = parts;
  }

  /** Every rank that was heard or asked, and how it stands. */
  get standings(): { readonly rank: number; readonly state: TrustState; readonly level: TrustLevel }[] {
    return [...this.#ranks].map(([rank, { state, level }]) => ({ rank, state, level }));
  }

  /** Ranks whose events don't count now: nearly always none. */
  get lowered(): readonly number[] {
    return this.#lowered;
  }

  /** Takes how publishers are heard, lets time pass, and heals what can be healed. Called about once a second. */
  poll(reports: readonly SourceReport[]): void {
    this.#observe(reports);
    const now = this.#parts.clock();
    for (const [rank, trust] of this.#ranks) {
      const report = this.#reports.get(rank);
      if (report !== undefined && trust.heals(now)) this.#parts.heal(report.publisher);
    }
  }

  /** Puts predictions, or nothing, in the place of what ranks say that are not believed. The columns are written to. */
  adjust(overlaps: TierOverlaps, prompt: PromptHashes): void {
    if (this.#lowered.length === 0) return;
    const { device, host, disk, external } = overlaps;
    // A look-up of its own memory: the columns here stay valid.
    const predicted = this.#predictions?.overlaps(prompt).device;
    for (const rank of this.#lowered) {
      const own = device[rank] ?? 0;
      this.#said.set(rank, { device: own, all: own + (host[rank] ?? 0) + (disk[rank] ?? 0) + (external[rank] ?? 0) });
      device[rank] = this.#ranks.get(rank)?.level === 'approximate' ? (predicted?.[rank] ?? 0) : 0;
      host[rank] = disk[rank] = external[rank] = 0;
    }
  }

  /** A request goes to a rank: notes what its events say of the prompt, and keeps the decision where it may be needed. */
  routed(prompt: PromptHashes, rank: number, overlaps: TierOverlaps): Expectation {
    const trust = this.#of(rank);
    const { device, host, disk, external } = overlaps;
    const own = device[rank] ?? 0;
    const said = this.#lowered.includes(rank)
      ? this.#said.get(rank)
      : { device: own, all: own + (host[rank] ?? 0) + (disk[rank] ?? 0) + (external[rank] ?? 0) };
    const blocks = prompt.local.length;
    const expectation = { rank, blocks, device: said?.device ?? 0, all: said?.all ?? 0, heard: trust.heard };
    if (!trust.suspect) return expectation;
    this.#predictions ??= this.#parts.predictions();
    const predicted = this.#predictions.overlaps(prompt).device[rank] ?? 0;
    this.#predictions.routed(prompt, rank);
    return { ...expectation, predicted };
  }

  /** An answer has begun: the rank has read its prompt, and holds blocks that it should tell of. */
  read({ rank, blocks, all }: Expectation): void {
    if (all < blocks) this.#ranks.get(rank)?.owes(this.#parts.clock());
  }

  /**
   * The engine says how many tokens it had cached. Where that is more than was known, `holds` looks the rank up again after a
   * while: what it tells of in the meantime, such as of a burst of equal prompts, was only late.
   */
  answered(expected: Expectation, cached: number, holds: () => number): void {
    const trust = this.#ranks.get(expected.rank);
    if (trust === undefined || !expected.heard || !trust.heard) return;
    const now = this.#parts.clock();
    const { blockSize } = this.#parts;
    if (cached <= expected.all * blockSize + slackOf(expected) * blockSize) this.#judge(trust, { expected, cached, most: expected.all });
    else if (this.#late.length < mostLate) this.#late.push({ expected, cached, holds, trust, at: now });
  }

  #judgeLate(now: number): void {
    while (this.#late[0] !== undefined && now - this.#late[0].at >= lateMs) {
      const { expected, cached, holds, trust } = this.#late.shift() as Late;
      // The number of a rank that is gone may be another's.
      if (this.#ranks.get(expected.rank) === trust) this.#judge(trust, { expected, cached, most: Math.max(expected.all, holds()) });
    }
  }

  #judge(trust: RankTrust, { expected, cached, most }: { expected: Expectation; cached: number; most: number }): void {
    const { blockSize, clock } = this.#parts;
    const { device, predicted } = expected;
    const approximate = predicted === undefined ? {} : { approximate: predicted * blockSize };
    const exact = { least: device * blockSize, most: most * blockSize };
    trust.answered({ exact, ...approximate, cached, slack: slackOf(expected) * blockSize }, clock());
    this.#settle();
  }

  /** A rank is gone. */
  forget(rank: number): void {
    this.#ranks.delete(rank);
    this.#told.delete(rank);
    this.#reports.delete(rank);
    this.#said.delete(rank);
    this.#predictions?.forget(rank);
    this.#settle();
  }

  /** How ranks stand, for receipts; with how each publisher is heard at this moment where the reports are given. */
  describe(reports: readonly SourceReport[] = []): (rank: number) => CacheTrust {
    if (reports.length > 0) this.#observe(reports);
    const now = this.#parts.clock();
    return (rank) => {
      const trust = this.#ranks.get(rank);
      const report = reports.length > 0 ? this.#reports.get(rank) : undefined;
      return { state: trust?.state ?? 'lagging', level: trust?.level ?? 'exact', ...(report === undefined ? {} : freshness(report, now)) };
    };
  }

  #observe(reports: readonly SourceReport[]): void {
    const { ranks, clock } = this.#parts;
    const now = clock();
    this.#reports = new Map();
    for (const report of reports) {
      const rank = ranks.find(report.workerId, report.dpRank);
      if (rank === undefined) continue;
      this.#reports.set(rank, report);
      this.#of(rank);
    }
    for (const [rank, trust] of this.#ranks) trust.observe(this.#reports.get(rank), now);
    this.#judgeLate(now);
    this.#settle();
  }

  #of(rank: number): RankTrust {
    let trust = this.#ranks.get(rank);
    if (trust === undefined) {
      trust = new RankTrust();
      trust.observe(this.#reports.get(rank), this.#parts.clock());
      this.#ranks.set(rank, trust);
    }
    return trust;
  }

  #settle(): void {
    const lowered: number[] = [];
    for (const [rank, { state, level }] of this.#ranks) {
      if (level !== 'exact' && this.#parts.acts) lowered.push(rank);
      if (this.#told.get(rank) === state) continue;
      const first = !this.#told.has(rank);
      this.#told.set(rank, state);
      if (!first || (state !== 'live' && state !== 'lagging')) this.#parts.changed?.({ rank, state, level });
    }
    this.#lowered = lowered;
    if (lowered.length > 0) this.#predictions ??= this.#parts.predictions();
  }
}

const freshness = ({ cursor, gaps, heardAt }: SourceReport, now: number): Pick<CacheTrust, 'cursor' | 'gaps' | 'heardMsAgo'> => ({
  gaps,
  ...(cursor === undefined ? {} : { cursor }),
  ...(heardAt === 0 ? {} : { heardMsAgo: Math.max(0, now - heardAt) }),
});
