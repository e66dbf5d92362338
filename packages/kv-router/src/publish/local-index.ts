import type { RouterEvent } from '../wire/kv-event.ts';
import type { WorkerAnswer, WorkerQuery } from '../wire/worker-query.ts';

/** What can hold a rank's blocks and write them down again, parents before children, as events. */
export interface DumpableIndex {
  apply(event: RouterEvent): void;
  dump(): readonly RouterEvent[];
}

/** How many of the newest events are kept for those who missed some (spec kv-router 17.2). */
const keptEvents = 1_024;

/** A worker's own picture of its cache: answers routers that joined late or missed events (spec kv-router 17). */
export class LocalIndex {
  readonly #workerId: bigint;
  readonly #dpRank: number;
  readonly #index: DumpableIndex;
  /** The newest events, in order of their numbers; slot = number modulo the size. */
  readonly #ring: (RouterEvent | undefined)[] = Array.from({ length: keptEvents });
  #last = 0;
  #oldest = 1;

  constructor(identity: { workerId: bigint; dpRank: number }, index: DumpableIndex) {
    this.#workerId = identity.workerId;
    this.#dpRank = identity.dpRank;
    this.#index = index;
  }

  /** Takes one published event; numbers are contiguous. */
  apply(event: RouterEvent): void {
    this.#index.apply(event);
    this.#ring[event.id % keptEvents] = event;
    this.#last = event.id;
    this.#oldest = Math.max(this.#oldest, event.id - keptEvents + 1);
  }

  /** Answers a query in the order of the rules of spec kv-router 17.2. */
  answer(query: WorkerQuery): WorkerAnswer {
    const mine = { worker_id: this.#workerId, dp_rank: BigInt(this.#dpRank) };
    const asked = { worker_id: query.workerId, dp_rank: BigInt(query.dpRank) };
    for (const name of ['worker_id', 'dp_rank'] as const) {
      if (asked[name] !== mine[name]) {
        const message = `WorkerKvQueryEngine::generate ${name} mismatch: request.${name}=${asked[name]} this.${name}=${mine[name]}`;
        return { type: 'error', message };
      }
    }
    const { start, end } = query;
    if (start !== undefined && end !== undefined && end < start) return { type: 'invalid-range', start, end };
    if (start === undefined || this.#last === 0 || start < this.#oldest) return this.#dump();
    if (start > this.#last) return { type: 'too-new', requestedStart: start, requestedEnd: end ?? this.#last, newest: this.#last };
    const events: RouterEvent[] = [];
    for (let id = start; id <= this.#last; id++) events.push(this.#ring[id % keptEvents] as RouterEvent);
    return { type: 'events', events, last: this.#last };
  }

  #dump(): WorkerAnswer {
    try {
      return { type: 'dump', events: this.#index.dump(), last: this.#last };
    } catch (error) {
      return { type: 'dump-failed', last: this.#last, message: error instanceof Error ? error.message : String(error) };
    }
  }
}
