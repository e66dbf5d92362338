import { randomUUID } from 'node:crypto';
import { PromptHasher } from '../hash/block-hash.ts';
import type { Clock } from '../load/clock.ts';
import { AdmissionQueue } from '../queue/admission.ts';
import type { TokenRequest } from '../request.ts';
import type { Placed, PlaceRequest } from '../select/scheduler.ts';
import type { RecordedDecision } from '../wire/recording.ts';
import type { Desk } from './desk.ts';
import { type Job, priorityOf, sharedOf } from './job.ts';
import { hashRequest, readHints, type RoutedCall } from './route-request.ts';
import { tierOverlaps } from './tier-overlaps.ts';

/** Takes requests from their tokens to a rank: hashed, queued, placed, and counted where they are to be sent. */
export class Placement implements Disposable {
  readonly queue: AdmissionQueue<Job, Placed>;
  readonly #desk: Desk;
  readonly #hasher: PromptHasher;

  constructor(desk: Desk, clock: Clock) {
    this.#desk = desk;
    const { parts } = desk;
    this.#hasher = new PromptHasher(parts.index.core);
    this.queue = new AdmissionQueue<Job, Placed>({
      profile: parts.profile,
      clock,
      host: {
        outlook: (job) => parts.scheduler.outlook(this.request(job)),
        dispatch: (job) => this.#dispatch(job),
        workers: () => parts.workers.size,
        received: (job, policy) => job.book && desk.metrics().received(policy),
        refused: (job, policy, limit) => job.book && desk.metrics().refused(policy, limit),
      },
    });
  }

  /** Reads and hashes a request. */
  job(request: TokenRequest, call: RoutedCall, options: Pick<Job, 'book' | 'explain'>): Job {
    const { options: settled } = this.#desk.parts;
    const watch = this.#desk.watch();
    const hints = readHints(request, call, { role: settled.role, hasRank: (workerId, rank) => watch.hasRank(workerId, rank) });
    const began = performance.now();
    const prompt = hashRequest(this.#hasher, request, { blockSize: settled.blockSize, eagle: watch.eagle, hints });
    const times = { hashing: performance.now() - began, find: 0, scheduling: 0 };
    return { id: call.id ?? randomUUID(), request, prompt, hints, times, queueDepth: this.queue.pending.requests, ...options };
  }

  /** Places a request, now or when its turn comes. */
  submit(job: Job, signal: AbortSignal | undefined): Promise<Placed> {
    return this.queue.submit(job, priorityOf(job, signal));
  }

  /** What a decision is made from. */
  request(job: Job): PlaceRequest {
    const { prompt, hints } = job;
    const began = performance.now();
    const overlaps = tierOverlaps(this.#desk.parts.index, prompt);
    this.#desk.trust()?.adjust(overlaps, prompt);
    job.times.find = performance.now() - began;
    return {
      isl: job.request.tokenIds.length,
      sequence: new Uint32Array(prompt.sequence.buffer, prompt.sequence.byteOffset, prompt.sequence.length * 2),
      overlaps,
      ...(job.explain === undefined
        ? {}
        : { explain: job.explain, id: job.id, trust: this.#desk.trust()?.describe(job.explain === 'receipt' ? this.#desk.sources() : []) }),
      ...(hints.constraints === undefined ? {} : { constraints: hints.constraints }),
      ...(hints.override === undefined ? {} : { override: hints.override }),
    };
  }

  [Symbol.dispose](): void {
    this.queue[Symbol.dispose]();
  }

  #dispatch(job: Job): Placed {
    const recorded = job.book ? this.#desk.recorder?.decides() : undefined;
    const request = this.request(job);
    const began = performance.now();
    const placed = this.#desk.parts.scheduler.place(request);
    if (job.book) {
      recorded?.(placed, request, this.#factsOf(job, request));
      this.#desk.parts.scheduler.book(job.id, placed);
      const trust = this.#desk.trust();
      if (trust !== undefined && request.overlaps !== undefined) job.expected = trust.routed(job.prompt, placed.rank, request.overlaps);
      this.#desk.parts.index.routed(job.prompt, placed.rank);
      this.#desk.replicas()?.added(sharedOf(job, placed));
    }
    job.times.scheduling = performance.now() - began;
    return placed;
  }

  /** What a recording needs of a request beside what it was placed by. */
  #factsOf({ id, prompt, hints }: Job, { overlaps }: PlaceRequest): Pick<RecordedDecision, 'id' | 'local' | 'expectedOutputTokens' | 'adjusted'> {
    const { expectedOutputTokens } = hints;
    const lowered = this.#desk.trust()?.lowered ?? [];
    return {
      id,
      local: prompt.local,
      ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
      ...(lowered.length === 0
        ? {}
        : {
            adjusted: lowered.map(
              (rank) => [this.#desk.parts.ranks.workerIdOf(rank), this.#desk.parts.ranks.dpRankOf(rank), overlaps?.device[rank] ?? 0] as const,
            ),
          }),
    };
  }
}
