import type { EventBatch } from '../prefix/prefix-index.ts';
import type { PlaceRequest, Placed } from '../select/scheduler.ts';
import { readableEvents } from '../wire/kv-event.ts';
import type { RecordedDecision, RecordedEntry, RecordedRouter } from '../wire/recording.ts';
import type { WorkerConfig } from '../workers/worker-config.ts';
import type { WorkerObserver } from '../workers/worker-set.ts';
import { Draws } from './draws.ts';
import { type KvRecorder, recordLine } from './recorder.ts';

/**
 * Records everything that a router decides by, in the order in which it happens.
 *
 * What counts time or draws lots during a recorded step takes both from here, so that the step can be taken again exactly.
 */
export class RouteRecorder implements WorkerObserver {
  readonly #recorder: KvRecorder;
  readonly #draws: Draws;
  #now = 0;

  constructor(recorder: KvRecorder, router: RecordedRouter, seed: number = Math.floor(Math.random() * 2 ** 32)) {
    this.#recorder = recorder;
    this.#draws = new Draws(seed);
    this.record({ kind: 'router', router });
  }

  /** The time of the step that is taken now, in milliseconds of the recording. */
  readonly clock: () => number = () => this.#now;

  /** The next draw. */
  readonly random: () => number = () => this.#draws.next();

  /** Begins a step and records it. */
  record(entry: RecordedEntry): void {
    this.#now = this.#recorder.elapsedMs;
    recordLine(this.#recorder, entry, this.#now);
  }

  /** Begins a decision; what it comes to is recorded by what this returns. */
  decides(): (placed: Placed, request: PlaceRequest, facts: Pick<RecordedDecision, 'id' | 'local' | 'expectedOutputTokens' | 'adjusted'>) => void {
    this.#now = this.#recorder.elapsedMs;
    const at = this.#now;
    const random = this.#draws.state;
    return (placed, request, facts) => {
      const { workerId, dpRank, cost, overlapBlocks, cachedTokens } = placed;
      const { isl, constraints, override } = request;
      const asked = { ...(constraints === undefined ? {} : { constraints }), ...(override === undefined ? {} : { override }) };
      recordLine(
        this.#recorder,
        { kind: 'decision', decision: { ...facts, isl, ...asked, workerId, dpRank, cost, overlapBlocks, cachedTokens, random } },
        at,
      );
    };
  }

  put(workerId: bigint, config: WorkerConfig): void {
    this.record({ kind: 'worker', workerId, config });
  }

  removed(workerId: bigint): void {
    this.record({ kind: 'gone', workerId });
  }

  available(workerId: bigint, available: boolean): void {
    this.record({ kind: 'available', workerId, available });
  }

  /** Lets time pass; what `step` says to have changed is recorded. */
  passes(step: () => number): void {
    this.#now = this.#recorder.elapsedMs;
    if (step() > 0) recordLine(this.#recorder, { kind: 'expired' }, this.#now);
  }

  /** A message of events whose applied ones are recorded. */
  batch(inner: EventBatch, payload: Uint8Array): EventBatch {
    const events = new Map(readableEvents(payload).map((event) => [`${event.id}/${event.dpRank}`, event]));
    const { length } = inner;
    return {
      length,
      event: (i) => inner.event(i),
      kind: (i) => inner.kind(i),
      id: (i) => inner.id(i),
      workerId: (i) => inner.workerId(i),
      dpRank: (i) => inner.dpRank(i),
      clearsEveryDomain: (i) => inner.clearsEveryDomain(i),
      apply: (i) => {
        const event = events.get(`${inner.id(i)}/${inner.dpRank(i)}`);
        if (event !== undefined) this.record({ kind: 'event', event });
        return inner.apply(i);
      },
    };
  }
}
