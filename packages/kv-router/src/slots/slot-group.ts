import { DynamoError } from '@dynamo/runtime';
import { ActiveSequences, type RankLoad } from '../load/active-sequences.ts';
import type { Clock } from '../load/clock.ts';
import { ReplicaSync, type SharedRequest } from '../load/replica-sync.ts';
import { fromBigints } from '../load/sequence-table.ts';
import { RankTable } from '../ranks.ts';
import { refusal } from '../http/refusal.ts';
import { type AddSlot, encodeSlotEvent, type RegisterSlots } from '../wire/slot-bodies.ts';

/** Whose bookings these are, and who is told of them. */
export interface SlotGroupOptions {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly clock: Clock;
  /** Names us among the replicas. */
  readonly routerId: bigint;
  readonly publish: (payload: Uint8Array) => void;
}

/** The workers of one model and routing group, and what runs on each of their ranks. */
export class SlotGroup implements Disposable {
  readonly model: string;
  readonly group: string;
  readonly blockSize: number;
  readonly replicas: ReplicaSync;
  readonly #ranks = new RankTable();
  readonly #sequences: ActiveSequences;
  readonly #workers = new Map<bigint, RegisterSlots>();
  /** What was told of each request: its end is told in the same words. */
  readonly #shared = new Map<string, SharedRequest>();

  constructor(options: SlotGroupOptions) {
    const { model, group, blockSize } = options;
    this.model = model;
    this.group = group;
    this.blockSize = blockSize;
    this.#sequences = new ActiveSequences({ clock: options.clock, ranks: this.#ranks });
    this.replicas = new ReplicaSync({
      routerId: options.routerId,
      ranks: this.#ranks,
      sequences: this.#sequences,
      publish: options.publish,
      encode: (event) => encodeSlotEvent({ model, group, blockSize, event }),
    });
    this.replicas.takeOver([]);
  }

  get empty(): boolean {
    return this.#workers.size === 0;
  }

  /** In order of their ids. */
  get workers(): readonly RegisterSlots[] {
    return [...this.#workers.values()].toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1));
  }

  has(workerId: bigint): boolean {
    return this.#workers.has(workerId);
  }

  hasRank(workerId: bigint, dpRank: number): boolean {
    return this.#ranks.find(workerId, dpRank) !== undefined;
  }

  register(worker: RegisterSlots): void {
    this.#workers.set(worker.workerId, worker);
    for (let i = 0; i < worker.dpSize; i++) this.#ranks.intern(worker.workerId, worker.dpStart + i);
  }

  /** Takes a worker out, and what ran on it. */
  unregister(workerId: bigint): void {
    this.#workers.delete(workerId);
    for (const rank of this.#ranks.ranksOf(workerId).slice()) {
      for (const id of this.#sequences.freeRank(rank)) this.#shared.delete(id);
      this.#ranks.release(rank);
    }
  }

  add(request: AddSlot): void {
    const { requestId: id, workerId, dpRank, newIslTokens: prefillTokens } = request;
    const rank = this.#ranks.find(workerId, dpRank);
    if (rank === undefined) throw refusal(404, `Worker WorkerWithDpRank { worker_id: ${workerId}, dp_rank: ${dpRank} } not found`);
    const sequence = fromBigints(request.sequenceHashes);
    this.#expire();
    try {
      this.#sequences.add({ id, rank, sequence, prefillTokens });
    } catch (error) {
      throw DynamoError.is(error, 'invalid_argument') ? refusal(409, error.message) : error;
    }
    const shared: SharedRequest = { id, workerId, dpRank, sequence, trackPrefill: true, prefillTokens };
    this.#shared.set(id, shared);
    this.replicas.added(shared);
  }

  /** False when no such request is booked. */
  prefillDone(id: string): boolean {
    const found = this.#sequences.prefillDone(id);
    const shared = this.#shared.get(id);
    if (shared !== undefined) this.replicas.prefillDone(shared);
    return found;
  }

  free(id: string): void {
    this.#sequences.free(id);
    const shared = this.#shared.get(id);
    if (shared === undefined) return;
    this.#shared.delete(id);
    this.replicas.freed(shared);
  }

  /** What each rank carries, and would carry with this prompt; in order of workers and ranks. */
  loads(sequenceHashes: readonly bigint[] = [], newTokens = 0): RankLoad[] {
    this.#expire();
    const numbers = this.workers.flatMap(({ workerId }) => this.#ranks.ranksOf(workerId));
    const loads = this.#sequences.loads(this.#ranks, numbers, { sequence: fromBigints(sequenceHashes), uncached: () => newTokens });
    return loads.toSorted((a, b) => (a.workerId === b.workerId ? a.dpRank - b.dpRank : a.workerId < b.workerId ? -1 : 1));
  }

  [Symbol.dispose](): void {
    this.replicas[Symbol.dispose]();
  }

  #expire(): void {
    if (this.#sequences.expire() > 0) for (const id of this.#shared.keys()) if (!this.#sequences.has(id)) this.#shared.delete(id);
  }
}
