import { DynamoError } from '@dynamo/runtime';
import type { PromptHashes } from '../hash/block-hash.ts';
import type { KvRouterOptions } from '../options.ts';
import type { Placed } from '../select/scheduler.ts';
import type { RecordedDecision } from '../wire/recording.ts';
import { CacheModel } from './cache-model.ts';
import { Draws } from './draws.ts';
import { OfflineRouter, recordedOptions } from './offline-router.ts';
import { msPerToken, readTraffic, type RecordedRequest, type Traffic } from './traffic.ts';

/** How the same traffic went in one run. */
export interface WhatIfRun {
  readonly name: string;
  readonly requests: number;
  /** Requests that nobody could take. */
  readonly refused: number;
  /** Part of all prompt tokens that were cached where they went. */
  readonly hitRate: number;
  /** The most loaded rank by the mean of all, in requests and in prompt tokens read: 1 is even. */
  readonly requestBalance: number;
  readonly tokenBalance: number;
  readonly meanCost: number;
  /** Milliseconds from placement to the end of reading, with the prompts of a rank read one after the other. */
  readonly meanReadMs: number;
  readonly p99ReadMs: number;
}

/** What the same traffic would have come to. */
export interface WhatIfReport {
  readonly requests: number;
  readonly seconds: number;
  /** Part of the prompt tokens that the engines said to have cached, where they said so. */
  readonly reportedHitRate?: number;
  readonly msPerToken: number;
  readonly lostLines: number;
  /** The recorded placements, the recorded options anew, and then the others: all over the same model of the workers' caches. */
  readonly runs: readonly WhatIfRun[];
}

/**
 * Runs a recording's traffic again with other options.
 *
 * What the workers would have cached follows from where requests go now, so the recorded events don't count: each rank is a
 * cache of the size that its card names, and reads prompts as fast as the recording shows. Answers take as long as recorded.
 */
export async function whatIf(
  path: string,
  variants: readonly { readonly name: string; readonly options: Partial<KvRouterOptions> }[],
): Promise<WhatIfReport> {
  const traffic = await readTraffic(path);
  const { requests, router, lostLines } = traffic;
  const base = recordedOptions(router);
  const speed = msPerToken(requests);
  const merged = variants.map(({ name, options }) => ({
    name,
    options: { ...base, ...options, settings: { ...base.settings, ...options.settings } },
  }));
  const told = requests.filter(({ cachedTokens }) => cachedTokens !== undefined);
  return {
    requests: requests.length,
    seconds: ((requests.at(-1)?.at ?? 0) - (requests[0]?.at ?? 0)) / 1_000,
    ...(told.length === 0 ? {} : { reportedHitRate: sum(told, (one) => one.cachedTokens ?? 0) / sum(told, ({ decision }) => decision.isl) }),
    msPerToken: speed,
    lostLines,
    runs: [
      new Run(traffic, base, speed).go('recorded', true),
      new Run(traffic, base, speed).go('same options', false),
      ...merged.map(({ name, options }) => new Run(traffic, options, speed).go(name, false)),
    ],
  };
}

/** What a simulated worker does later. */
interface Due {
  readonly at: number;
  readonly run: () => void;
}

class Run {
  readonly #traffic: Traffic;
  readonly #speed: number;
  readonly #router: OfflineRouter;
  readonly #caches = new Map<string, CacheModel>();
  readonly #busyUntil = new Map<string, number>();
  readonly #work = new Map<string, { requests: number; tokens: number }>();
  /** Sorted by time. */
  #due: Due[] = [];
  #now = 0;
  readonly #readMs: number[] = [];
  #cached = 0;
  #tokens = 0;
  #cost = 0;
  #refused = 0;
  #eventId = 0;

  constructor(traffic: Traffic, options: KvRouterOptions, speed: number) {
    this.#traffic = traffic;
    this.#speed = speed;
    this.#router = new OfflineRouter(options, { clock: () => this.#now, random: new Draws(1).next });
  }

  go(name: string, asRecorded: boolean): WhatIfRun {
    const { requests, workers } = this.#traffic;
    let change = 0;
    for (const request of requests) {
      for (let next = workers[change]; next !== undefined && next.at <= request.at; next = workers[++change]) {
        this.#passTo(next.at);
        this.#router.take(next.entry);
      }
      this.#passTo(request.at);
      this.#arrive(request, asRecorded);
    }
    this.#passTo(Infinity);
    return this.#result(name);
  }

  #passTo(at: number): void {
    while (this.#due[0] !== undefined && this.#due[0].at <= at) {
      const [due] = this.#due.splice(0, 1) as [Due];
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    if (at !== Infinity) this.#now = Math.max(this.#now, at);
  }

  #arrive({ decision, at, readAt, freedAt }: RecordedRequest, asRecorded: boolean): void {
    const prompt = this.#router.promptOf(decision);
    const placed = this.#place(decision, prompt, asRecorded);
    if (placed === undefined) return;
    const key = `${placed.workerId}/${placed.dpRank}`;
    const cache = this.#cacheOf(key, placed);
    const { blockSize } = this.#router.parts.options;
    const cached = Math.min(decision.isl, cache.holds(prompt) * blockSize);
    const work = this.#work.get(key) ?? { requests: 0, tokens: 0 };
    this.#work.set(key, { requests: work.requests + 1, tokens: work.tokens + decision.isl - cached });
    this.#cached += cached;
    this.#tokens += decision.isl;
    this.#cost += placed.cost;
    const read = Math.max(at, this.#busyUntil.get(key) ?? 0) + (decision.isl - cached) * this.#speed;
    this.#busyUntil.set(key, read);
    this.#readMs.push(read - at);
    this.#later(read, () => {
      this.#router.parts.sequences.prefillDone(decision.id);
      for (const body of cache.read(prompt))
        this.#router.parts.index.apply({
          workerId: placed.workerId,
          dpRank: placed.dpRank,
          tier: 'device',
          domain: 'worker',
          id: ++this.#eventId,
          change: body,
        });
    });
    this.#later(read + Math.max(0, (freedAt ?? at) - (readAt ?? freedAt ?? at)), () => void this.#router.parts.sequences.free(decision.id));
  }

  #place(decision: RecordedDecision, prompt: PromptHashes, asRecorded: boolean): Placed | undefined {
    const { workerId, dpRank, adjusted: _, ...asked } = decision;
    try {
      return this.#router.decide(
        asRecorded ? { ...decision, ...asked, constraints: { pinned: { workerId, dpRank } } } : { ...asked, workerId, dpRank },
        prompt,
      );
    } catch (error) {
      if (!DynamoError.is(error)) throw error;
      this.#refused++;
      return undefined;
    }
  }

  #cacheOf(key: string, { workerId }: Placed): CacheModel {
    const known = this.#caches.get(key);
    if (known !== undefined) return known;
    const made = new CacheModel(this.#router.parts.workers.get(workerId)?.config.totalKvBlocks);
    this.#caches.set(key, made);
    return made;
  }

  #later(at: number, run: () => void): void {
    let low = 0;
    let high = this.#due.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#due[middle]?.at ?? 0) <= at) low = middle + 1;
      else high = middle;
    }
    this.#due.splice(low, 0, { at, run });
  }

  #result(name: string): WhatIfRun {
    const ranks = Math.max(1, this.#router.parts.workers.numbers.length, this.#work.size);
    const placed = this.#readMs.length;
    const balance = (of: (work: { requests: number; tokens: number }) => number): number => {
      const shares = [...this.#work.values()].map(of);
      const total = shares.reduce((all, share) => all + share, 0);
      return total === 0 ? 1 : (Math.max(...shares) * ranks) / total;
    };
    const sorted = this.#readMs.toSorted((a, b) => a - b);
    return {
      name,
      requests: placed,
      refused: this.#refused,
      hitRate: this.#tokens === 0 ? 0 : this.#cached / this.#tokens,
      requestBalance: balance(({ requests }) => requests),
      tokenBalance: balance(({ tokens }) => tokens),
      meanCost: placed === 0 ? 0 : this.#cost / placed,
      meanReadMs: placed === 0 ? 0 : sum(sorted, (one) => one) / placed,
      p99ReadMs: sorted[Math.min(placed - 1, Math.floor(placed * 0.99))] ?? 0,
    };
  }
}

const sum = <T>(items: readonly T[], of: (item: T) => number): number => items.reduce((total, item) => total + of(item), 0);

const rows: readonly (readonly [title: string, show: (run: WhatIfRun) => string])[] = [
  ['requests', ({ requests }) => String(requests)],
  ['refused', ({ refused }) => String(refused)],
  ['hit rate', ({ hitRate }) => `${(hitRate * 100).toFixed(2)} %`],
  ['requests, max/mean', ({ requestBalance }) => requestBalance.toFixed(3)],
  ['tokens read, max/mean', ({ tokenBalance }) => tokenBalance.toFixed(3)],
  ['mean cost', ({ meanCost }) => meanCost.toFixed(3)],
  ['mean ms to read', ({ meanReadMs }) => meanReadMs.toFixed(1)],
  ['p99 ms to read', ({ p99ReadMs }) => p99ReadMs.toFixed(1)],
];

/** The report as a table, one column a run. */
export function whatIfTable({ requests, seconds, reportedHitRate, lostLines, runs }: WhatIfReport): string {
  const table = [['', ...runs.map(({ name }) => name)], ...rows.map(([title, show]) => [title, ...runs.map(show)])];
  const widths = runs.map((_, column) => Math.max(...table.map((row) => row[column + 1]?.length ?? 0)));
  const lines = table.map(([title = '', ...cells]) =>
    [title.padEnd(22), ...cells.map((cell, column) => cell.padStart(widths[column] ?? 0))].join('  '),
  );
  const reported = reportedHitRate === undefined ? '' : `; the engines reported a hit rate of ${(reportedHitRate * 100).toFixed(2)} %`;
  const lost = lostLines === 0 ? '' : `; ${lostLines} lines are missing in the recording`;
  return [`${requests} requests in ${seconds.toFixed(1)} s${reported}${lost}`, '', ...lines, ''].join('\n');
}
