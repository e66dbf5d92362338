import type { Logger } from '@dynamo/runtime';
import type { RouterEvent } from '../wire/kv-event.ts';
import type { WorkerAnswer } from '../wire/worker-query.ts';

/** What a source needs from those around it. */
export interface SourceParts {
  /** Sends one query to the worker; rejects when it fails. */
  readonly ask: (start: number | undefined, signal: AbortSignal) => Promise<WorkerAnswer>;
  /** Puts one event into the index. */
  readonly apply: (event: RouterEvent) => void;
  /** Forgets what the index holds of this source's rank, before a dump replaces it. */
  readonly reset: () => void;
  /** Sleeps; rejects when the signal aborts. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly log: Logger;
  /** Number of the newest event that the index has from elsewhere: then only what came after it is asked for. */
  readonly cursor?: number | undefined;
  /** How many events may wait for an answer; the oldest are dropped past it, which the next gap heals. Default 100 000. */
  readonly maxWaiting?: number;
}

/** What the questions of a source came to: a dump of everything, the events that were missed, an answer without state, or none at all. */
export type Recoveries = Record<'dump' | 'events' | 'nothing' | 'failed', number>;

/** How far what a router knows of a source can be trusted. */
export type SourceState = 'recovering' | 'live' | 'degraded';

/** First pause between attempts, doubled each time, and how many there are (spec kv-router 17.3). */
export const retryRule = { firstMs: 200, attempts: 8, answerMs: 30_000 } as const;

/**
 * One publisher's events in the right order: what is missing is asked of the worker, and meanwhile nothing is applied
 * (spec kv-router 17.3).
 */
export class EventSource implements Disposable {
  readonly #parts: SourceParts;
  readonly #ended = new AbortController();
  /** The newest event that the index has seen; undefined before the first answer. */
  #cursor: number | undefined;
  #waiting: RouterEvent[] = [];
  /** Aborted when a late answer must not count any more. */
  #recovery: AbortController | undefined;
  #degraded = false;
  /** What the index has was not heard here, and the worker has not confirmed it yet. */
  #borrowed: boolean;
  #gaps = 0;
  readonly #recoveries: Recoveries = { dump: 0, events: 0, nothing: 0, failed: 0 };

  constructor(parts: SourceParts) {
    this.#parts = parts;
    this.#cursor = parts.cursor;
    this.#borrowed = parts.cursor !== undefined;
    this.#recover(parts.cursor === undefined ? undefined : parts.cursor + 1);
  }

  get state(): SourceState {
    if (this.#recovery !== undefined) return 'recovering';
    return this.#degraded ? 'degraded' : 'live';
  }

  /** Number of the newest event applied. */
  get cursor(): number | undefined {
    return this.#cursor;
  }

  /** How often events were found missing. */
  get gaps(): number {
    return this.#gaps;
  }

  /** What became of the questions so far. */
  get recoveries(): Readonly<Recoveries> {
    return this.#recoveries;
  }

  /**
   * Whether the event with this number is the next one and nothing is being asked for: then it counts as applied, and the
   * caller applies it. Every other event goes through `push`.
   */
  takes(id: number): boolean {
    if (this.#recovery !== undefined || this.#cursor === undefined || id !== this.#cursor + 1) return false;
    this.#cursor = id;
    return true;
  }

  /** Takes one live event. */
  push(event: RouterEvent): void {
    // One that is gone hears nothing more: what comes late would count for whoever has its rank now.
    if (this.#ended.signal.aborted) return;
    const { id, change, domain } = event;
    if (this.#cursor !== undefined && id <= this.#cursor) return;
    if (change.type === 'cleared' && domain === undefined) return this.#clearAll(event);
    if (this.#recovery !== undefined) return this.#wait(event);
    if (this.#cursor !== undefined && id === this.#cursor + 1) {
      this.#cursor = id;
      this.#parts.apply(event);
      return;
    }
    this.#gaps += 1;
    this.#wait(event);
    this.#recover(this.#cursor === undefined ? undefined : this.#cursor + 1);
  }

  /** Asks again from the cursor on: for a subscriber that knows that it missed messages. */
  refresh(): void {
    if (this.#recovery === undefined && !this.#ended.signal.aborted) this.#recover(this.#cursor === undefined ? undefined : this.#cursor + 1);
  }

  /** Asks for everything that the worker holds: for those who have a reason to doubt what was heard. */
  resync(): void {
    if (this.#recovery === undefined && !this.#ended.signal.aborted) this.#recover(undefined);
  }

  [Symbol.dispose](): void {
    this.#ended.abort();
    this.#recovery?.abort();
    this.#waiting = [];
  }

  #wait(event: RouterEvent): void {
    this.#waiting.push(event);
    if (this.#waiting.length > (this.#parts.maxWaiting ?? 100_000)) this.#waiting.shift();
  }

  /** Everything of the rank is gone, whatever was missing before: the recovery under way has nothing left to find. */
  #clearAll(event: RouterEvent): void {
    this.#recovery?.abort();
    this.#recovery = undefined;
    this.#cursor = event.id;
    this.#degraded = false;
    this.#parts.apply(event);
    this.#drain();
  }

  #recover(start: number | undefined): void {
    const recovery = new AbortController();
    this.#recovery = recovery;
    void this.#askUntilAnswered(start, recovery.signal).then((answer) => {
      if (recovery.signal.aborted) return;
      this.#recovery = undefined;
      if (this.#disowns(answer)) return this.#recover(undefined);
      this.#take(answer);
      this.#drain();
    });
  }

  /** The first usable answer, or undefined when every attempt failed. Never rejects. */
  async #askUntilAnswered(start: number | undefined, signal: AbortSignal): Promise<WorkerAnswer | undefined> {
    const { log } = this.#parts;
    for (let attempt = 0; attempt < retryRule.attempts; attempt++) {
      try {
        if (attempt > 0) await this.#parts.sleep(retryRule.firstMs * 2 ** (attempt - 1), signal);
        const answer = await this.#parts.ask(start, signal);
        if (answer.type !== 'error' && answer.type !== 'dump-failed') return answer;
        log.debug({ attempt, message: answer.message }, 'a worker could not answer a recovery query');
      } catch (error) {
        if (signal.aborted) return undefined;
        log.debug({ attempt, error: String(error) }, 'a recovery query failed');
      }
    }
    log.warn({ attempts: retryRule.attempts }, 'KV recovery failed; continuing with degraded live events');
    return undefined;
  }

  /** The worker knows nothing of events that the index has: what was borrowed is not of this worker's life. */
  #disowns(answer: WorkerAnswer | undefined): boolean {
    const borrowed = this.#borrowed;
    this.#borrowed = false;
    if (!borrowed || answer?.type === 'events' || answer?.type === 'dump' || (answer?.type === 'too-new' && answer.newest === this.#cursor))
      return false;
    this.#cursor = undefined;
    this.#parts.reset();
    return true;
  }

  #take(answer: WorkerAnswer | undefined): void {
    // Asked whether there is more, and there is not: nothing was missed.
    if (answer?.type === 'too-new' && answer.newest === this.#cursor && this.#waiting.length === 0 && !this.#degraded) return;
    // What was passed over before is not among the events from the cursor on: only a dump has it.
    if (answer?.type === 'dump') this.#degraded = false;
    else if (answer?.type !== 'events') this.#degraded = true;
    this.#recoveries[answer === undefined ? 'failed' : answer.type === 'dump' || answer.type === 'events' ? answer.type : 'nothing'] += 1;
    if (answer?.type === 'dump') {
      this.#parts.reset();
      for (const event of answer.events) this.#parts.apply(event);
      this.#cursor = answer.last;
    } else if (answer?.type === 'events') {
      for (const event of answer.events) if (this.#cursor === undefined || event.id > this.#cursor) this.#parts.apply(event);
      this.#cursor = Math.max(answer.last, this.#cursor ?? 0);
    } else if (answer !== undefined) {
      this.#parts.log.warn({ answer: answer.type }, 'KV recovery returned no applicable state');
    }
  }

  /** Applies what waited, in order; what is still missing then is missed for good. */
  #drain(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    let skipped = false;
    for (const event of waiting) {
      if (this.#cursor !== undefined && event.id <= this.#cursor) continue;
      skipped ||= this.#cursor !== undefined && event.id !== this.#cursor + 1;
      this.#cursor = event.id;
      this.#parts.apply(event);
    }
    if (!skipped) return;
    this.#degraded = true;
    this.#parts.log.warn({ cursor: this.#cursor }, 'KV recovery local catch-up skipped event IDs; continuing with advisory hints');
  }
}
