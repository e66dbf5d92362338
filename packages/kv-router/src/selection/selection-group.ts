import { randomUUID } from 'node:crypto';
import { DynamoError, type Logger } from '@dynamo/runtime';
import { PromptHasher, type PromptHashes } from '../hash/block-hash.ts';
import type { RankLoad } from '../load/active-sequences.ts';
import { ReplicaSync, type SharedRequest } from '../load/replica-sync.ts';
import { toBigints } from '../load/sequence-table.ts';
import { type EngineFeed, openEngineFeed } from '../publish/engine-feed.ts';
import { AdmissionQueue } from '../queue/admission.ts';
import { routingParts, type RoutingParts } from '../routing/routing-parts.ts';
import { tierOverlaps } from '../routing/tier-overlaps.ts';
import type { Placed } from '../select/scheduler.ts';
import type { RouterEvent } from '../wire/kv-event.ts';
import type { RankOverlap } from '../wire/overlap-scores.ts';
import type { RouterSettings } from '../wire/router-settings.ts';
import { type RankName, recordToCard, type SelectBody, type Selected, type SelectPrompt, type WorkerRecord } from '../wire/selection-bodies.ts';
import { encodeSlotEvent } from '../wire/slot-bodies.ts';
import { readWorkerConfig } from '../workers/worker-config.ts';
import { type RankSources, sourcesOf } from './catalog-entry.ts';
import { placeRequest, readPrompt, type SelectionJob } from './selection-job.ts';

/** Whose workers these are, and how they are chosen. */
export interface SelectionGroupOptions {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly settings: Partial<RouterSettings>;
  /** Names us among the replicas. */
  readonly routerId: bigint;
  readonly publish: (payload: Uint8Array) => void;
  readonly log: Logger;
}

/** A choice, and what it was made from. */
export interface Choice {
  readonly placed: Placed;
  readonly isl: number;
  readonly selected: Selected;
  readonly expectedOutputTokens?: number | undefined;
  readonly loraName?: string | undefined;
}

/** A worker that can be chosen, and the sockets that its events come from. */
interface Served {
  readonly record: WorkerRecord;
  readonly sources: string;
  readonly feeds: readonly EngineFeed[];
}

/** The workers of one model and routing group: their caches, their loads, and who waits for them. */
export class SelectionGroup implements AsyncDisposable {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly replicas: ReplicaSync;
  readonly #parts: RoutingParts;
  readonly #hasher: PromptHasher;
  readonly #queue: AdmissionQueue<SelectionJob, Choice>;
  readonly #served = new Map<bigint, Served>();
  readonly #shared = new Map<string, SharedRequest>();
  readonly #log: Logger;

  constructor(options: SelectionGroupOptions) {
    const { model, group, blockSize, routerId, publish } = options;
    this.model = model;
    this.group = group;
    this.blockSize = blockSize;
    this.#log = options.log;
    const clock = (): number => performance.now();
    // The real service heeds no switch for running blocks (spec kv-router 7).
    this.#parts = routingParts({ blockSize, model, settings: { ...options.settings, trackActiveBlocks: true } }, { clock });
    const { index, profile, workers, sequences, ranks, scheduler } = this.#parts;
    this.#hasher = new PromptHasher(index.core);
    this.#queue = new AdmissionQueue<SelectionJob, Choice>({
      profile,
      clock,
      host: {
        outlook: (job) => scheduler.outlook(placeRequest(this.#parts.index, job)),
        dispatch: (job) => this.#dispatch(job),
        workers: () => workers.size,
      },
    });
    this.replicas = new ReplicaSync({
      routerId,
      ranks,
      sequences,
      publish,
      changed: () => this.#queue.drain(),
      encode: (event) => encodeSlotEvent({ model, group, blockSize, event }),
    });
    this.replicas.takeOver([]);
  }

  get size(): number {
    return this.#served.size;
  }

  get pending(): { readonly requests: number; readonly islTokens: number } {
    return this.#queue.pending;
  }

  hasRank({ workerId, dpRank }: RankName): boolean {
    const rank = this.#parts.ranks.find(workerId, dpRank);
    return rank !== undefined && this.#parts.workers.ofRank(rank) !== undefined;
  }

  has(id: string): boolean {
    return this.#parts.sequences.has(id);
  }

  /** Takes a worker in, or what is new of it. Its sockets stay when they are the same. */
  async put(record: WorkerRecord): Promise<void> {
    const sources = sourcesOf(record);
    const key = JSON.stringify([...sources]);
    const before = this.#served.get(record.workerId);
    if (before !== undefined && before.sources !== key) await this.remove(record.workerId);
    const feeds = before?.sources === key ? before.feeds : await this.#listen(record, sources);
    this.#served.set(record.workerId, { record, sources: key, feeds });
    const { workers } = this.#parts;
    for (const rank of workers.put(record.workerId, readWorkerConfig(recordToCard(record)))) this.#forget(rank);
    this.#queue.drain();
  }

  /** Takes a worker out, with what it held and what ran on it. */
  async remove(workerId: bigint): Promise<void> {
    const served = this.#served.get(workerId);
    if (served === undefined) return;
    this.#served.delete(workerId);
    const { ranks, workers } = this.#parts;
    workers.remove(workerId);
    for (const feed of served.feeds) await feed[Symbol.asyncDispose]();
    for (const rank of ranks.ranksOf(workerId).slice()) this.#forget(rank);
    this.#queue.drain();
  }

  /** Chooses a rank, waiting in the queue if need be; counts the prompt on it under `reserve`. */
  select(body: SelectBody, options: { readonly reserve?: string; readonly signal: AbortSignal }): Promise<Choice> {
    const job = { body, ...readPrompt(this.#hasher, this.blockSize, body), reserve: options.reserve };
    const { policyClass, strictPriority, priorityJump, pinnedWorker: pinned } = body;
    return this.#queue.submit(job, {
      isl: job.isl,
      signal: options.signal,
      ...(policyClass === undefined ? {} : { policyClass }),
      ...(strictPriority === undefined ? {} : { strictPriority }),
      ...(priorityJump === undefined ? {} : { priorityJump }),
      ...(pinned === undefined ? {} : { lane: `${pinned.workerId}/${pinned.dpRank}` }),
    });
  }

  /** Chooses without waiting. */
  choose(body: SelectBody): Choice {
    return this.#choice({ body, ...readPrompt(this.#hasher, this.blockSize, body) });
  }

  /** Counts a choice under a name until it is freed. */
  book(id: string, choice: Choice): void {
    const { placed, expectedOutputTokens, loraName } = choice;
    const { sequences, scheduler } = this.#parts;
    if (sequences.expire() > 0) for (const old of this.#shared.keys()) if (!sequences.has(old)) this.#shared.delete(old);
    scheduler.book(id, placed);
    const shared: SharedRequest = {
      id,
      workerId: placed.workerId,
      dpRank: placed.dpRank,
      sequence: placed.sequence,
      trackPrefill: placed.trackPrefill,
      prefillTokens: placed.effectivePrefillTokens,
      ...(expectedOutputTokens === undefined ? {} : { expectedOutputTokens }),
      ...(loraName === undefined ? {} : { loraName }),
    };
    this.#shared.set(id, shared);
    this.replicas.added(shared);
  }

  prefillDone(id: string): void {
    this.#parts.sequences.prefillDone(id);
    const shared = this.#shared.get(id);
    if (shared !== undefined) this.replicas.prefillDone(shared);
    this.#queue.drain();
  }

  addOutputBlock(id: string, decay: number | undefined): void {
    this.#parts.sequences.addOutputBlock(id, decay);
  }

  free(id: string): void {
    this.#parts.sequences.free(id);
    const shared = this.#shared.get(id);
    this.#shared.delete(id);
    if (shared !== undefined) this.replicas.freed(shared);
    this.#queue.drain();
  }

  /** What each rank carries, and would carry with a prompt. */
  loads(prompt?: SelectPrompt): RankLoad[] {
    const { scheduler } = this.#parts;
    if (prompt === undefined) return scheduler.loads({ isl: 0, sequence: new Uint32Array(0) });
    return scheduler.loads(placeRequest(this.#parts.index, { body: prompt, ...readPrompt(this.#hasher, this.blockSize, prompt) }));
  }

  /** What each rank holds of a prompt, in order, and how many whole blocks the prompt has. */
  overlaps(prompt: SelectPrompt): { readonly ranks: readonly RankOverlap[]; readonly blocks: number } {
    const hashes = readPrompt(this.#hasher, this.blockSize, prompt).prompt;
    const ranks = this.#held(hashes, this.#parts.workers.numbers);
    const inOrder = ranks.toSorted((a, b) => (a.workerId === b.workerId ? a.dpRank - b.dpRank : a.workerId < b.workerId ? -1 : 1));
    return { ranks: inOrder, blocks: hashes.local.length };
  }

  dump(): RouterEvent[] {
    return this.#parts.index.dump();
  }

  /** Takes over what another service knows. */
  apply(event: RouterEvent): void {
    this.#parts.index.apply(event);
  }

  /** Frees what nobody freed, and lets those look again that wait. */
  tick(): void {
    this.#parts.sequences.expire();
    this.#queue.drain();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#queue[Symbol.dispose]();
    this.replicas[Symbol.dispose]();
    for (const { feeds } of this.#served.values()) for (const feed of feeds) await feed[Symbol.asyncDispose]();
  }

  async #listen(record: WorkerRecord, sources: RankSources): Promise<EngineFeed[]> {
    const { index, ranks } = this.#parts;
    const feeds: EngineFeed[] = [];
    const parts = { workerId: record.workerId, blockSize: this.blockSize, index, ranks, hasher: this.#hasher, log: this.#log };
    try {
      for (const [dpRank, source] of sources) feeds.push(await openEngineFeed({ ...parts, dpRank, source }));
      return feeds;
    } catch (error) {
      for (const feed of feeds) await feed[Symbol.asyncDispose]();
      throw error;
    }
  }

  #forget(rank: number): void {
    const { index, sequences, overload, ranks } = this.#parts;
    for (const id of sequences.freeRank(rank)) this.#shared.delete(id);
    index.forget(rank);
    overload.forget(rank);
    ranks.release(rank);
  }

  #dispatch(job: SelectionJob): Choice {
    const choice = this.#choice(job);
    if (job.reserve !== undefined) this.book(job.reserve, choice);
    return choice;
  }

  #choice(job: SelectionJob): Choice {
    const { scheduler, workers } = this.#parts;
    const { body, prompt, isl } = job;
    const placed = scheduler.place(placeRequest(this.#parts.index, job));
    const { workerId, dpRank, sequence, trackPrefill } = placed;
    const endpoint = this.#served.get(workerId)?.record.endpoint;
    if (endpoint === undefined) throw new DynamoError('unavailable', 'no endpoints available to route work');
    const selected: Selected = {
      modelName: this.model,
      routingGroup: this.group,
      workerId,
      dpRank,
      endpoint,
      blockSize: this.blockSize,
      held: this.#held(prompt, workers.get(workerId)?.ranks ?? []),
      effectivePrefillTokens: placed.effectivePrefillTokens,
      potentialDecodeBlocks: placed.potentialDecodeBlocks,
      ...(body.selectionId === undefined ? {} : { selectionId: body.selectionId }),
      ...(job.reserve === undefined ? {} : { selectionId: job.reserve, reserved: { sequence: toBigints(sequence), isl, trackPrefill } }),
    };
    return { placed, isl, selected, expectedOutputTokens: body.expectedOutputTokens, loraName: body.loraName };
  }

  #held(prompt: PromptHashes, numbers: readonly number[]): RankOverlap[] {
    const { index, ranks } = this.#parts;
    const { device, host, disk, external } = tierOverlaps(index, prompt);
    return numbers.map((rank) => ({
      workerId: ranks.workerIdOf(rank),
      dpRank: ranks.dpRankOf(rank),
      device: device[rank] ?? 0,
      host: host[rank] ?? 0,
      disk: (disk[rank] ?? 0) + (external[rank] ?? 0),
    }));
  }
}

/** A name for a selection whose asker gave none. */
export const newSelectionId = (): string => randomUUID();
